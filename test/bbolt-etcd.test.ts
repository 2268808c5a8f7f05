// Database files change hands: real etcd's `member/snap/db` read, walked, edited, copied and compacted
// here, and what was written here served by real etcd again.

import { copyFileSync, renameSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { bytesFromUtf8, utf8FromBytes } from '../src/base/index.ts';
import { type Database, openDatabase } from '../src/bbolt/index.ts';
import { createNodeEnv } from '../src/net/index.ts';
import { Member, realProgram } from './helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from './helpers/real-etcd.ts';
import { run } from './helpers/run.ts';

const env = createNodeEnv();
const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

const VALUE = 'v'.repeat(300);

/** A stopped member with a few hundred revisions, some deleted and compacted away. */
async function stoppedMember(release: Release): Promise<{ member: Member; ctl: string[] }> {
  const real = need(realEtcd(release));
  const member = await Member.start(realProgram(real));
  members.push(member);
  const ctl = [real.etcdctl, `--endpoints=${member.endpoint}`];
  const puts = Array.from({ length: 100 }, (_, i) => `put k${i % 80} "${i} ${VALUE}"`);
  for (let i = 0; i < 3; i++) {
    const result = await run([...ctl, 'txn', '--interactive'], {
      input: `\n${puts
        .slice(0, 60)
        .filter((_, at) => at % 3 === i)
        .join('\n')}\n\n\n`,
    });
    expect(result.stdout + result.stderr).toContain('SUCCESS');
  }
  expect((await run([...ctl, 'put', 'big', 'x'.repeat(100_000)])).stdout).toBe('OK\n');
  expect((await run([...ctl, 'del', 'k1', 'k3'])).code).toBe(0);
  expect((await run([...ctl, 'compaction', '3'])).code).toBe(0);
  expect((await run([...ctl, 'put', 'last', 'one'])).stdout).toBe('OK\n');
  await member.stop();
  return { member, ctl };
}

async function countKeys(database: Database): Promise<number> {
  const tx = database.beginRead();
  let keys = 0;
  await tx.walk(bytesFromUtf8('key'), { entry: () => ++keys > 0 });
  const cursor = tx.bucket(bytesFromUtf8('key'))!.cursor();
  let steps = 0;
  for (let on = cursor.first(); on; on = cursor.next()) steps++;
  tx.close();
  expect(steps).toBe(keys);
  return keys;
}

for (const release of ['3.4', '3.5'] as const satisfies readonly Release[]) {
  describeWith(`the database file of etcd ${release}`, [realEtcd(release)], () => {
    test('is read, edited, copied and compacted, and served again', async () => {
      const { member, ctl } = await stoppedMember(release);
      const path = join(member.directory, 'member', 'snap', 'db');
      copyFileSync(path, `${path}.kept`);

      const reader = await openDatabase(env, path, { readOnly: true });
      expect(await reader.check()).toEqual([]);
      const names: string[] = [];
      const cursor = reader.beginRead().cursor();
      for (let on = cursor.first(); on; on = cursor.next()) names.push(utf8FromBytes(cursor.key()));
      expect(names).toEqual(expect.arrayContaining(['alarm', 'cluster', 'key', 'lease', 'meta']));
      const keys = await countKeys(reader);
      expect(keys).toBeGreaterThan(50);
      await reader.close();

      // Many pages are written anew, with a bucket of ours that etcd does not look at.
      const database = await openDatabase(env, path);
      for (let round = 0; round < 6; round++) {
        const tx = await database.beginWrite();
        const ours = tx.createBucketIfNotExists(bytesFromUtf8('ours'));
        for (let i = 0; i < 200; i++) ours.put(bytesFromUtf8(`${round} ${i}`), new Uint8Array(99));
        const bucket = tx.bucket(bytesFromUtf8('key'))!;
        const all = bucket.cursor();
        for (let on = all.first(); on; on = all.next()) bucket.put(all.key(), all.value());
        await tx.commit();
      }
      expect(await database.check()).toEqual([]);
      expect(await countKeys(database)).toBe(keys);

      const copy = await open(`${path}.copy`, 'w');
      const { size } = await database.copyTo(async (chunk) => {
        await copy.write(chunk);
      });
      expect((await copy.stat()).size).toBe(size);
      await copy.close();
      const compacted = await openDatabase(env, `${path}.compacted`);
      await database.compactInto(compacted);
      expect(await countKeys(compacted)).toBe(keys);
      await compacted.close();
      await database.close();

      for (const form of ['', '.copy', '.compacted']) {
        if (form !== '') renameSync(`${path}${form}`, path);
        await member.restart();
        expect((await run([...ctl, 'get', 'last'])).stdout).toBe('last\none\n');
        expect((await run([...ctl, 'get', 'big'])).stdout).toHaveLength('big\n'.length + 100_001);
        expect((await run([...ctl, 'put', `after${form}`, 'two'])).stdout).toBe('OK\n');
        expect((await run([...ctl, 'get', 'after', '--prefix', '--keys-only'])).stdout).toContain(
          `after${form}`,
        );
        await member.stop();
        const again = await openDatabase(env, path, { readOnly: true });
        expect(await again.check()).toEqual([]);
        await again.close();
      }
    });
  });
}
