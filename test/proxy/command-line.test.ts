// The command lines of both proxies beside real etcd's: flags, defaults, refusals.

import { expect, test } from 'vitest';
import { serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');

/** The texts are our own; what flags there are, their kinds and their defaults are etcd's. */
async function ask(command: readonly string[], line: readonly string[]) {
  const { code, stdout, stderr } = await run([...command, ...line]);
  const rows = [...stdout.matchAll(/--([a-z-]+)( [a-z0-9]+)? {2}.*?(\(default [^()]*\))?$/gm)];
  const lines = stderr.split('\n');
  const flags = rows.map(([, ...parts]) => parts.join(''));
  return { code, first: lines[0], last: lines.at(-1), flags };
}

describeWith('the command line of', [ours, real], () => {
  const pairs = [
    ['gateway', 8],
    ['grpc-proxy', 40],
  ] as const;
  test.each(pairs)('tetcd %s is that of etcd', async (group, flagCount) => {
    const lines = [
      [group],
      [group, 'start', '--help'],
      [group, 'start', '-h'],
      [group, 'x'],
      [group, 'start', '--x'],
      [group, 'start', '-x'],
      [group, 'start', '--endpoints'],
      [group, 'start', '--insecure-discovery=maybe'],
    ];
    if (group === 'gateway') lines.push([group, 'start', '--retry-delay', '1']);
    else {
      lines.push([group, 'start', '--max-concurrent-streams=4294967296']);
      lines.push([group, 'start', '--self-signed-cert-validity=-1']);
      lines.push([group, 'start', '--max-send-bytes=x']);
    }
    for (const line of lines) {
      const found = await ask(need(ours).command, line);
      expect(found, line.join(' ')).toEqual(await ask([need(real).etcd], line));
      if (line[2] === '--help') expect(found.flags).toHaveLength(flagCount);
    }
  });

  test('tetcd grpc-proxy refuses settings in the words of etcd', async () => {
    const lines = [
      ['--resolver-ttl=4'],
      ['--resolver-prefix=/p'],
      ['--resolver-prefix=/p', '--resolver-ttl=4', '--advertise-client-url='],
      ['--auto-tls', '--self-signed-cert-validity=0'],
      ['--tls-min-version=TLS1.1'],
      ['--tls-max-version=x'],
      ['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'],
      ['--tls-min-version=TLS1.3', '--listen-cipher-suites=TLS_AES_128_GCM_SHA256'],
    ];
    for (const line of lines) {
      const whole = ['grpc-proxy', 'start', '--listen-addr=127.0.0.1:0', ...line];
      const found = await run([...need(ours).command, ...whole]);
      expect(found, line.join(' ')).toEqual(await run([need(real).etcd, ...whole]));
      expect(found.code).toBe(1);
    }
  });
});
