// What other servers say to us: nothing, nonsense, refusals, frames that are none.

import { afterEach, describe, expect, test } from 'vitest';
import { hasCode } from '../base/index.ts';
import type { ByteStream } from '../env/index.ts';
import { SimWorld } from '../env/sim/index.ts';
import { parsePeerUrl, requestPeer } from './index.ts';
import { type Member, MessageType, message, startMember, stopAll } from './rig.fixture.ts';

let running: Member[] = [];

afterEach(async () => {
  const members = running;
  running = [];
  await stopAll(members);
});

/** Listens as `m2` and answers every request with `answer`; undefined: never. */
async function scripted(world: SimWorld, answer: string | undefined): Promise<{ dials: number }> {
  const count = { dials: 0 };
  await world.machine('m2').network.listen({ host: 'm2', port: 2380 }, (stream: ByteStream) => {
    count.dials++;
    let answered = false;
    stream.handler = {
      onData: () => {
        if (answer === undefined || answered) return;
        answered = true;
        stream.write(Buffer.from(answer, 'latin1'));
      },
      onDrain: () => {},
      onEnd: () => stream.destroy(),
      onClose: () => {},
    };
  });
  return count;
}

const refusal = (status: string, text: string, headers = ''): string =>
  `HTTP/1.1 ${status}\r\nX-Server-Version: 3.5.0\r\n${headers}` +
  `Content-Length: ${text.length + 1}\r\n\r\n${text}\n`;

const OPEN = 'HTTP/1.1 200 OK\r\nX-Server-Version: 3.5.0\r\nTransfer-Encoding: chunked\r\n\r\n';

describe('a dialler', () => {
  test.each([
    ['silence', undefined, 'i/o timeout'],
    ['nonsense', 'nonsense\r\n\r\n', 'malformed status line'],
    ['another protocol', 'HTTP/2 200 OK\r\n\r\n', 'malformed status line'],
    ['an endless head', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(5000)}`, 'too large'],
    ['an endless line', `HTTP/1.1 200 ${'x'.repeat(200_000)}`, 'too large'],
    ['a switch of protocols', 'HTTP/1.1 101 Go\r\n\r\n', 'unexpected change of protocol'],
    ['only interim heads', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(50), 'too many 1xx heads'],
    ['no version', 'HTTP/1.1 200 OK\r\n\r\n', 'unsupported stream type'],
    ['a version that is none', 'HTTP/1.1 200 OK\r\nX-Server-Version: a\r\n\r\n', 'unsupported'],
    ['not found', refusal('404 Not Found', 'x'), 'failed to find local node'],
    ['another cluster', refusal('412 No', 'cluster ID mismatch'), 'cluster ID mismatch'],
    ['another version', refusal('412 No', 'incompatible version'), 'incompatible version'],
    ['another member', refusal('412 No', 'to field mismatch'), 'unhandled error'],
    ['a failure', refusal('500 No', 'x'), 'unhandled http status 500'],
    [
      'a refusal without end',
      `${refusal('500 No', 'x', '').replace(/\d+\r\n\r\n/, '9999999\r\n\r\n')}${'x'.repeat(100_000)}`,
      'a long refusal',
    ],
    ['a bad chunk', `${OPEN}zz\r\n`, 'malformed chunked encoding'],
    ['a frame of any length', `${OPEN}8\r\n${'\xff'.repeat(8)}\r\n`, ''],
    ['an empty stream', `${OPEN}0\r\n\r\n`, ''],
  ])('that meets %s goes on dialling', async (_name, answer, reason) => {
    const world = new SimWorld({ seed: 1 });
    const server = await scripted(world, answer);
    const a = await startMember(world.machine('m1'), { id: 1n, host: 'm1' });
    running = [a];
    a.transport.addPeer(2n, ['http://m2:2380']);
    await world.scheduler.runFor(12_000);
    expect(server.dials).toBeGreaterThan(3);
    // One dial of each kind every 100 ms, and a few probes.
    expect(server.dials).toBeLessThan(2 * 120 + 10);
    expect(JSON.stringify(a.log.lines)).toContain(reason);
    expect(a.host.removals).toEqual([]);
    expect(a.host.received).toEqual([]);
  });

  test('takes up the next URL when one fails', async () => {
    const world = new SimWorld({ seed: 2 });
    const a = await startMember(world.machine('m1'), { id: 1n, host: 'm1' });
    const b = await startMember(world.machine('m2'), { id: 2n, host: 'm2' });
    running = [a, b];
    a.transport.addPeer(2n, ['http://a-first:1', 'http://m2:2380']);
    b.transport.addPeer(1n, ['http://m1:2380']);
    await world.scheduler.runFor(3000);
    expect(a.transport.activeSince(2n)).toBeTypeOf('number');
    a.transport.updatePeer(2n, ['http://nowhere:1']);
    await world.scheduler.runFor(10_000);
    // Streams that are open live on.
    b.transport.send(message({ type: MessageType.MsgHeartbeat, from: 2n, to: 1n }));
    await world.scheduler.runFor(100);
    expect(a.host.received).toHaveLength(1);
  });

  test('a post that is refused or misunderstood is reported', async () => {
    for (const answer of [
      refusal('412 No', 'cluster ID mismatch'),
      refusal('200 OK', ''),
      'x\r\n\r\n',
    ]) {
      const world = new SimWorld({ seed: 3 });
      await scripted(world, answer);
      const a = await startMember(world.machine('m1'), { id: 1n, host: 'm1' });
      running = [...running, a];
      a.transport.addRemote(2n, ['http://m2:2380']);
      a.transport.send(message({ type: MessageType.MsgHeartbeat, from: 1n, to: 2n }));
      await world.scheduler.runFor(1000);
      expect(a.host.unreachable).toEqual([2n]);
      expect(a.metrics.sentFailures('2').value).toBe(1);
    }
  });
});

describe('requestPeer', () => {
  const ask = async (answer: string | undefined, url = 'http://m2:2380') => {
    const world = new SimWorld({ seed: 4 });
    await scripted(world, answer);
    const env = world.machine('m1');
    return await world.scheduler.run(async () => {
      const options = { url, method: 'GET', path: '/members', timeoutMs: 500 } as const;
      return await requestPeer(env, { ...options, bodyBytesMax: 100 });
    });
  };
  const code = (expected: Parameters<typeof hasCode>[1]) =>
    expect.toSatisfy((error: unknown) => {
      return hasCode(error, expected) && error.message.includes('m2:2380');
    });

  test('returns whatever is answered', async () => {
    const answer = await ask(refusal('404 Not Found', 'no such', 'X-A: b\r\n'));
    expect(answer.status).toBe(404);
    expect(answer.headers['x-a']).toBe('b');
    expect(Buffer.from(answer.body).toString()).toBe('no such\n');
    const untilClose = await ask('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab');
    expect(Buffer.from(untilClose.body).toString()).toBe('ab');
  });

  test('names what went wrong, and the URL', async () => {
    await expect(ask(undefined)).rejects.toEqual(code('TIMEOUT'));
    await expect(ask('x\r\n\r\n')).rejects.toEqual(code('MALFORMED'));
    await expect(ask(refusal('200 OK', 'x'.repeat(101)))).rejects.toEqual(code('LIMIT_EXCEEDED'));
    await expect(ask('', 'http://m2:23801')).rejects.toEqual(code('UNAVAILABLE'));
    await expect(ask('', 'ftp://m2:2380')).rejects.toEqual(code('INVALID_ARGUMENT'));
  });
});

test('peer URLs', () => {
  expect(parsePeerUrl('http://10.0.0.1:2380')).toEqual({ host: '10.0.0.1', port: 2380 });
  expect(parsePeerUrl('http://[::1]:2380')).toEqual({ host: '::1', port: 2380 });
  expect(parsePeerUrl('unix://a/b:1')).toEqual({ host: '', port: 0, path: 'a/b:1' });
  const secure = { secure: true };
  expect(parsePeerUrl('https://a:2380')).toEqual({ host: 'a', port: 2380, ...secure });
  expect(parsePeerUrl('unixs://a')).toEqual({ host: '', port: 0, path: 'a', ...secure });
  for (const wrong of [
    ...['', 'http://', 'http://a', 'http://a:', 'http://a:99999', 'http://a:1/', 'http://a b:1'],
    ...[
      'https://a',
      'https://a:1/',
      'httpss://a:1',
      'ftp://a:1',
      'http://a:1\r\nX: y',
      'http://u@a:1',
      'unix://',
      'a:1',
    ],
  ]) {
    expect(() => parsePeerUrl(wrong)).toThrow(/not of the form/);
  }
});
