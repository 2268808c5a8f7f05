// The lock of the database, which follows it from file to file: another process is kept out after every
// defragmentation, and no process is started for that while the member serves.

import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { until } from './cluster/until.ts';
import { ApiClient } from './helpers/api.ts';
import { Member, realProgram, serverUnderTest, temporaryDirectory } from './helpers/member.ts';
import { describeWith, need, realEtcd, systemProgram } from './helpers/real-etcd.ts';

const TIMEOUT_MS = 60_000;
const DEFRAGMENTATIONS = 4;
const flock = systemProgram('flock');
const ours = serverUnderTest();
const real = realEtcd('3.7');

let member: Member | undefined;
afterEach(async () => await member?.dispose());

/** A member whose starts of flock(1) are written to the file. */
async function startCounted(counted: string): Promise<Member> {
  const programs = temporaryDirectory();
  const wrapper = join(programs, 'flock');
  writeFileSync(wrapper, `#!/bin/sh\necho "$@" >> ${counted}\nexec ${need(flock)} "$@"\n`);
  chmodSync(wrapper, 0o755);
  writeFileSync(counted, '');
  const env = { PATH: `${programs}:${process.env['PATH']}` };
  return await Member.start(need(ours), { env });
}

/** The file of the next defragmentation is empty again. */
const isReady = (snap: string) => () => {
  const names = readdirSync(snap).filter((name) => name.startsWith('db.tmp'));
  return names.length === 1 && statSync(join(snap, names[0]!)).size === 0 ? true : undefined;
};

describeWith('the lock of the database', [ours, real, flock], () => {
  test('holds from one defragmentation to the next, against flock(1) and real etcd', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const counted = join(temporaryDirectory(), 'flock.log');
    member = await startCounted(counted);
    const snap = join(member.directory, 'member', 'snap');
    const database = join(snap, 'db');
    await until('a file is prepared', isReady(snap));
    const starts = readFileSync(counted, 'utf8');
    expect(starts).not.toBe('');
    const client = new ApiClient(member.endpoint);
    const files = new Set([statSync(database).ino]);
    for (let i = 0; i < DEFRAGMENTATIONS; i++) {
      await client.must('KV/Put', { key: 'k', value: String(i).repeat(10_000) });
      await client.must('Maintenance/Defragment', {});
      await until('the old file is empty', isReady(snap));
      files.add(statSync(database).ino);
      expect(spawnSync(need(flock), ['-n', database, 'true']).status).toBe(1);
    }
    client.close();
    // Two files take turns.
    expect(files.size).toBe(2);
    expect(readFileSync(counted, 'utf8')).toBe(starts);

    const other = Member.start(realProgram(need(real)), {
      directory: member.directory,
      startTimeoutMs: 3_000,
    });
    await expect(other).rejects.toThrow();
    await member.stop();
    expect(readdirSync(snap)).toEqual(['db']);
    const after = await Member.start(realProgram(need(real)), { directory: member.directory });
    await after.dispose();
  });
});
