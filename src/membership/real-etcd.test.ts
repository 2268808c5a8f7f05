// Snapshots of real etcds are read here, and ours are opened by them.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Member, realProgram } from '../../test/helpers/member.ts';
import { describeWith, need, realEtcd } from '../../test/helpers/real-etcd.ts';
import { run } from '../../test/helpers/run.ts';
import { crc32c, utf8FromBytes } from '../base/index.ts';
import { raftpb, snappb } from '../protocol/index.ts';
import type { RowContents } from './rows.ts';
import { readV2Store, writeV2Store } from './v2-store.ts';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

function snapDirectory(member: Member): string {
  return join(member.directory, 'member', 'snap');
}

/** Paths of the `.snap` files, oldest first: their names sort by term and index. */
function snapFiles(member: Member): string[] {
  const directory = snapDirectory(member);
  const names = readdirSync(directory).filter((name) => name.endsWith('.snap'));
  return names.sort().map((name) => join(directory, name));
}

function readSnap(path: string): raftpb.Snapshot {
  const { crc, data } = snappb.SnapshotCodec.decode(readFileSync(path));
  expect(crc32c(0, data)).toBe(crc);
  return raftpb.SnapshotCodec.decode(data);
}

function writeSnap(path: string, snapshot: raftpb.Snapshot): void {
  const data = raftpb.SnapshotCodec.encode(snapshot);
  writeFileSync(path, snappb.SnapshotCodec.encode({ crc: crc32c(0, data), data }));
}

interface ListedMember {
  readonly ID: bigint;
  readonly name?: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs?: readonly string[];
  readonly isLearner?: boolean;
}

/** What `etcdctl member list` says, ids exact. */
async function listMembers(ctl: readonly string[]): Promise<ListedMember[]> {
  const { stdout } = await run([...ctl, 'member', 'list', '-w', 'json']);
  const quoted = stdout.replace(/"ID":(\d+)/g, '"ID":"$1"');
  const listed = JSON.parse(quoted).members as (Omit<ListedMember, 'ID'> & { ID: string })[];
  return listed.map((each) => ({ ...each, ID: BigInt(each.ID) }));
}

function asListed(contents: RowContents): ListedMember[] {
  return contents.members.map((member) => ({
    ID: member.id,
    ...(member.name !== '' && { name: member.name }),
    peerURLs: member.peerURLs,
    ...(member.clientURLs.length > 0 && { clientURLs: member.clientURLs }),
    ...(member.isLearner && { isLearner: true }),
  }));
}

const byId = (a: ListedMember, b: ListedMember): number => (a.ID < b.ID ? -1 : 1);

for (const release of ['3.4', '3.5'] as const) {
  const real = realEtcd(release);
  describeWith(`snapshots of etcd ${release}`, [real], () => {
    test('theirs are read, ours are opened, and their history goes on', async () => {
      const flags = ['--snapshot-count=10'];
      const member = await Member.start(realProgram(need(real)), { flags });
      members.push(member);
      const ctl = [need(real).etcdctl, `--endpoints=${member.endpoint}`];
      const fill = async (): Promise<void> => {
        for (let i = 0; i < 14; i++) await run([...ctl, 'put', `k${i}`, 'v']);
      };
      const addLearner = async (name: string, port: number): Promise<string> => {
        const url = `--peer-urls=http://127.0.0.1:${port}`;
        const { stdout } = await run([...ctl, 'member', 'add', name, url, '--learner']);
        return /Member +([\da-f]+) added/.exec(stdout)![1]!;
      };
      await fill();
      const removed = await addLearner('n2', 9);
      await run([...ctl, 'member', 'remove', removed]);
      await addLearner('a<&>b', 10);
      await fill();
      const listed = await listMembers(ctl);
      await member.stop();

      // The first snapshot has nothing but the member and the version: ours is the same, byte
      // for byte. Later ones differ in the history of changes only.
      const [first, ...later] = snapFiles(member).map(readSnap);
      expect(utf8FromBytes(writeV2Store(readV2Store(first!.data)))).toBe(
        utf8FromBytes(first!.data),
      );
      const newest = later.at(-1)!;
      const contents = readV2Store(newest.data);
      expect(asListed(contents).sort(byId)).toEqual(listed.sort(byId));
      expect(contents.removed).toEqual([BigInt(`0x${removed}`)]);
      expect(contents.version).toEqual({ major: 3, minor: Number(release.slice(2)) });

      writeSnap(snapFiles(member).at(-1)!, { ...newest, data: writeV2Store(contents) });
      await member.restart();
      expect(readdirSync(snapDirectory(member)).join()).not.toContain('.broken');
      expect(await listMembers(ctl)).toEqual(listed);
      expect((await run([...ctl, 'get', 'k13'])).stdout).toBe('k13\nv\n');
      const [learner] = listed.filter((each) => each.isLearner);
      await run([...ctl, 'member', 'remove', learner!.ID.toString(16)]);
      await addLearner('n4', 11);
      await fill();
      const relisted = await listMembers(ctl);
      await member.kill();
      const last = readV2Store(readSnap(snapFiles(member).at(-1)!).data);
      expect(asListed(last).sort(byId)).toEqual(relisted.sort(byId));
      expect(last.removed).toHaveLength(2);
    });
  });
}
