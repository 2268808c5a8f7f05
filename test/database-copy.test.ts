// A copy that the store makes of real etcd's database while it is written: real etcd serves it again,
// and it is installed under the snapshot that it belongs to.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Slices } from '../src/base/index.ts';
import { createNodeEnv } from '../src/net/index.ts';
import { Backend, type BackendOptions, KvStore, Restore } from '../src/store/index.ts';
import { Member, realProgram } from './helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from './helpers/real-etcd.ts';
import { run } from './helpers/run.ts';

const env = createNodeEnv();
const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

async function openStore(path: string, options: Partial<BackendOptions> = {}) {
  const restore = new Restore(2);
  const onFailure = (error: unknown) => {
    throw error;
  };
  const backend = await Backend.open(env, path, { onFailure, ...options }, restore.rows, (found) =>
    restore.inspect(found),
  );
  await restore.rows.finish(new Slices(env));
  return { backend, kv: new KvStore(env, backend, restore.rows, restore.marks) };
}

/** An entry with a large row, as the store would write it. */
function applyOne(backend: Backend, main: number): void {
  backend.beginEntry();
  backend.appendRow(main, 0, false, new Uint8Array(50_000), 0, 50_000);
  backend.endEntry(backend.appliedIndex + 1, backend.appliedTerm);
}

for (const release of ['3.4', '3.5'] as const satisfies readonly Release[]) {
  describeWith(`a copy of the database of etcd ${release}`, [realEtcd(release)], () => {
    test('is served again, and installed', { timeout: 60_000 }, async () => {
      const real = need(realEtcd(release));
      const member = await Member.start(realProgram(real));
      members.push(member);
      const ctl = [real.etcdctl, `--endpoints=${member.endpoint}`];
      for (let i = 0; i < 40; i++) {
        expect((await run([...ctl, 'put', `k${i % 9}`, 'x'.repeat(90_000)])).stdout).toBe('OK\n');
      }
      const hash = async (): Promise<unknown> => {
        const status = await run([...ctl, 'endpoint', 'hashkv', '--write-out=json']);
        const [{ HashKV }] = JSON.parse(status.stdout);
        return [HashKV.hash, HashKV.compact_revision, HashKV.header.revision];
      };
      const before = await hash();
      await member.stop();
      const path = join(member.directory, 'member', 'snap', 'db');
      copyFileSync(path, `${path}.ours`);

      const { backend, kv } = await openStore(`${path}.ours`);
      const index = backend.appliedIndex;
      const copy = await backend.openCopy();
      expect(copy.durable.index).toBe(index);
      const chunks: Uint8Array[] = [];
      for await (const chunk of copy.chunks()) {
        chunks.push(chunk.slice());
        for (let i = 0; i < 20; i++) applyOne(backend, kv.currentRev + 1 + chunks.length * 20 + i);
        await backend.commit();
      }
      copy.close();
      expect(chunks.length).toBeGreaterThan(3);
      expect(backend.durable.index).toBeGreaterThan(index);
      await backend.close();
      writeFileSync(path, Buffer.concat(chunks));

      await member.restart();
      expect(await hash()).toEqual(before);
      expect((await run([...ctl, 'put', 'after', '1'])).stdout).toBe('OK\n');
      const after = await hash();
      await member.stop();

      // Real etcd leaves the index of the file behind that of its log; a snapshot says the latter.
      writeFileSync(`${path}.received`, readFileSync(path));
      const received = { index: index + 1000, term: 99 };
      const installed = await openStore(`${path}.received`, { received });
      expect(installed.backend.appliedIndex).toBe(received.index);
      expect(installed.kv.currentRev).toBe((after as number[])[2]);
      expect((await installed.backend.commit()).index).toBe(received.index);
      expect(await installed.backend.database.check()).toEqual([]);
      await installed.backend.close();
    });
  });
}
