// Logs of real etcd are read, continued, and read again by real etcd.

import { expect, test } from 'vitest';
import { Member, realProgram } from '../../test/helpers/member.ts';
import { describeWith, need, realEtcd } from '../../test/helpers/real-etcd.ts';
import { createNodeEnv } from '../net/index.ts';
import { etcdserverpb } from '../protocol/index.ts';
import { newestSnapFile, openWal, readWal, summarizeWal } from './index.ts';
import { entry, save } from './wal.fixture.ts';

const KEYS = 45;
const START = { index: 0, term: 0 };

async function call(member: Member, path: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`http://${member.endpoint}/v3/kv/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { connection: 'close' },
  });
  return (await response.json()) as Record<string, unknown>;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function put(member: Member, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    await call(member, 'put', { key: base64(`key-${i}`), value: base64(`value-${i}`) });
  }
}

for (const release of ['3.4', '3.5'] as const) {
  const real = realEtcd(release);
  describeWith(`real etcd ${release}`, [real], () => {
    test('reads and continues its log', { timeout: 60_000 }, async () => {
      const env = createNodeEnv();
      const member = await Member.start(realProgram(need(real)), {
        flags: ['--snapshot-count=10'],
      });
      try {
        await put(member, 0, KEYS);
        const directory = `${member.directory}/member/wal`;

        // While it runs: what it holds is not ours to open.
        await expect(openWal(env, directory, START)).rejects.toMatchObject({ code: 'LOCKED' });
        await member.kill();

        const summary = await summarizeWal(env, directory);
        const { nodeID, clusterID } = etcdserverpb.MetadataCodec.decode(summary.metadata);
        expect(nodeID > 0n && clusterID > 0n).toBe(true);
        const newest = summary.validSnapshots.at(-1)!;
        expect(newest.index).toBeGreaterThan(30);
        const snapDirectory = `${member.directory}/member/snap`;
        const snap = await newestSnapFile(env.disk, snapDirectory, {
          among: summary.validSnapshots,
        });
        expect(snap?.snapshot.metadata?.index).toBe(newest.index);
        expect(Buffer.from(snap!.snapshot.data).toString()).toContain('"/0/members/');

        const all = await readWal(env, directory, START);
        const text = all.entries.map(({ data }) => Buffer.from(data).toString('latin1')).join('\n');
        for (let i = 0; i < KEYS; i++) expect(text).toContain(`value-${i}`);
        const after = await readWal(env, directory, newest);
        expect(after.entries).toEqual(all.entries.slice(newest.index));
        expect(after.hardState).toEqual(all.hardState);

        // Empty entries, as a new leader makes them, each in a segment of its own.
        const opened = await openWal(env, directory, newest, { segmentSize: 100 });
        const last = opened.entries.at(-1)!;
        for (let i = 1; i <= 3; i++) await save(opened.wal, [entry(last.index + i, last.term)]);
        await opened.wal.close();
        expect(
          (await env.disk.list(directory)).filter((name) => name.endsWith('.wal')),
        ).toHaveLength(4);

        await member.restart();
        await put(member, KEYS, KEYS + 1);
        const range = { key: base64('key-'), range_end: base64('key.'), count_only: true };
        expect(await call(member, 'range', range)).toMatchObject({ count: String(KEYS + 1) });
        await member.stop();
        const again = await readWal(env, directory, newest);
        expect(again.entries.slice(0, after.entries.length)).toEqual(after.entries);
        expect(again.entries.length).toBeGreaterThan(after.entries.length + 3);
      } finally {
        await member.dispose();
      }
    });
  });
}
