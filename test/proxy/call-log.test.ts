// `--experimental-enable-grpc-logging`: the lines are those of etcd's proxy, for the same calls.

import { afterEach, expect, test } from 'vitest';
import { until } from '../cluster/until.ts';
import { ApiClient } from '../helpers/api.ts';
import { Member, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { Proxies } from './proxies.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

type Line = Readonly<Record<string, string>>;

/** What differs from call to call is left out. */
function linesIn(log: string): Line[] {
  const lines = log.split('\n').filter((line) => line.includes('payload logged as'));
  return lines.map((line) => {
    const { ts, caller, ...rest } = JSON.parse(line) as Line;
    expect(rest['peer.address']).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(Object.keys(rest)).toEqual(expect.arrayContaining(['grpc.service', 'grpc.method']));
    const content = rest['grpc.response.content']?.replace(
      /("(?:\w+Revision|revision)":)"\d+"/g,
      '$1N',
    );
    return {
      ...rest,
      'peer.address': '',
      ...(content === undefined ? {} : { 'grpc.response.content': content }),
    };
  });
}

async function linesOf(endpoint: string, program: 'ours' | 'real'): Promise<Line[]> {
  const proxies = new Proxies();
  closing.push(() => proxies.dispose());
  const flags = ['--experimental-enable-grpc-logging'];
  const proxy = await proxies.start(
    'grpc-proxy',
    [endpoint],
    flags,
    program === 'real' ? need(real) : undefined,
  );
  const through = new ApiClient(proxy.endpoint);
  closing.push(() => through.close());
  await through.call('KV/DeleteRange', { key: 'k' });
  await through.call('KV/Put', { key: 'k', value: '<1>', prev_kv: true });
  await through.call('KV/DeleteRange', { key: 'k', prev_kv: true });
  await through.call('KV/Put', { key: 'k', value: '<1>' });
  await through.call('KV/Range', { key: 'k', sort_order: 2, limit: '5' });
  await through.call('KV/Put', { key: '', value: 'x' });
  await through.call('KV/Txn', {
    compare: [{ key: 'k', target: 1, result: 1, create_revision: '0' }],
    success: [{ request_put: { key: 'k', value: '2' } }],
  });
  await through.call('Lease/LeaseRevoke', { ID: '77' });
  await through.call('KV/DeleteRange', { key: 'k' });
  const watch = through.stream('Watch/Watch');
  watch.send({ create_request: { key: 'k', start_revision: '999999' } });
  await watch.until(() => watch.received.length > 0);
  watch.cancel();
  const log = await until('the end of the watch', async () => {
    const text = proxy.process.log();
    return /"grpc\.request\.error":/.test(text) ? text : undefined;
  });
  return linesIn(log);
}

describeWith('the log of requests and answers', [ours, real], () => {
  test('is that of etcd', async () => {
    const member = await Member.start(realProgram(need(real)));
    closing.push(() => member.dispose());
    const theirs = await linesOf(member.endpoint, 'real');
    expect(theirs.length).toBeGreaterThan(12);
    expect(await linesOf(member.endpoint, 'ours')).toEqual(theirs);
  });
});
