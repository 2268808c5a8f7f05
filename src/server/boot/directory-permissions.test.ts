import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import { DATA_DIR, SimMember } from '../testing/sim-member.fixture.ts';
import { warnOfOpenDirectories } from './directory-permissions.ts';

const WARNING = 'check file permission';

test('GHSA-chh6-ppwq-jh92, CVE-2020-15113: a directory that is open to others is told', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    await env.disk.makeDirectory(DATA_DIR, 0o755);
    const first = await SimMember.start(env);
    const lines = () => first.log.filter((line) => line.includes(WARNING));
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toContain(
      `directory \\"${DATA_DIR}\\" exist, but the permission is \\"drwxr-xr-x\\". The recommended ` +
        'permission is \\"-rwx------\\" to prevent possible unprivileged access to the data',
    );
    await first.stop();
  });
});

test('CVE-2020-15113: whatever a member makes is for its owner alone', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const member = await SimMember.start(env);
    await member.put('a', '1');
    await member.stop();
    const { disk } = env;
    const modes = new Map<string, number>();
    const look = async (path: string): Promise<void> => {
      const { kind, mode } = (await disk.stat(path))!;
      modes.set(path, mode);
      if (kind !== 'directory') return;
      for (const name of await disk.list(path)) await look(`${path}/${name}`);
    };
    await look(DATA_DIR);
    expect(modes.size).toBeGreaterThan(4);
    expect([...modes].filter(([, mode]) => mode !== 0o700 && mode !== 0o600)).toEqual([]);
    const again = await SimMember.start(env);
    expect(again.log.filter((line) => line.includes(WARNING))).toEqual([]);
    await again.stop();
  });
});

test.each([
  [0o40777 & 0o7777, 'drwxrwxrwx'],
  [0o1777, 'dtrwxrwxrwx'],
  [0o6750, 'dugrwxr-x---'],
  [0o500, 'dr-x------'],
])('%o is %s', async (mode, text) => {
  const told: unknown[] = [];
  const disk = { stat: async () => ({ kind: 'directory', size: 0, mode }) as const };
  const log = { warn: (_: string, fields?: object) => void told.push(fields) };
  await warnOfOpenDirectories(disk, ['/d'], log);
  expect(JSON.stringify(told)).toContain(text);
});
