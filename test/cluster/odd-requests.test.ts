// Requests in odd shapes, through every door of a mixed cluster: what one member accepts and logs, every
// other applies, to the same, and again after a restart.

import { afterEach, expect, onTestFailed, test } from 'vitest';
import { seededRandom } from '../../src/base/index.ts';
import { realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from '../helpers/real-etcd.ts';
import { Cluster } from './cluster.ts';
import type { ClusterMember } from './cluster-member.ts';
import { deepTxn, isMalformed, KNOWN_ODD, type OddRequest, oddRequest } from './odd-requests.ts';

const TIMEOUT_MS = 90_000;
const REQUESTS_PER_DOOR = 120;
/** Transactions within each other: more than a decoder holds on its stack; real members are slow. */
const DEEP = 600;
const TOO_DEEP_HERE = 1_001;
/** How grpc-go and ours answer what is no message of its type. */
const MALFORMED = /unmarshal/;

const seed = Number(process.env['ODD_SEED'] ?? 71);
const ours = serverUnderTest();
const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

async function send(member: ClusterMember, { rpc, bytes }: OddRequest): Promise<string> {
  const { code, details } = await member.client.callRaw(rpc, bytes, {
    timeoutMs: 20_000,
    undecoded: true,
  });
  if (code === 0) return 'OK';
  if (MALFORMED.test(details)) return 'malformed';
  // Anything that a member says of a request; that it has gone, or is late, is not among them.
  expect(details, `${rpc} ${bytes.toString('hex')} at ${member.name}`).toMatch(/^etcdserver: /);
  expect(details).not.toMatch(/timed out|stopped|leader/);
  return details;
}

for (const release of ['3.7', '3.5', '3.4'] as const satisfies readonly Release[]) {
  const real = realEtcd(release);

  describeWith(`odd requests, ours and etcd ${release}`, [ours, real], () => {
    test(`seed ${seed}`, { timeout: TIMEOUT_MS }, async () => {
      const plain = { program: need(ours) };
      const cluster = await Cluster.start({
        servers: [{ program: realProgram(need(real)) }, plain, plain],
        flags: ['--max-txn-ops=20000'],
      });
      clusters.push(cluster);
      onTestFailed(() => console.error(cluster.logs()));
      const [theirs, one, other] = cluster.members as [ClusterMember, ClusterMember, ClusterMember];
      const random = seededRandom(seed);
      let refusedByOld = 0;
      for (const door of [theirs, other]) expect(await send(door, deepTxn(DEEP))).toBe('OK');
      expect(await send(other, deepTxn(TOO_DEEP_HERE))).toMatch(/too many operations/);
      for (const leader of [theirs, one]) {
        await cluster.moveLeader(leader);
        for (const [name, odd] of Object.entries(KNOWN_ODD)) {
          for (const door of [theirs, one, other]) {
            const said = await send(door, odd);
            if (door !== theirs || release === '3.7') expect(said, name).toBe('OK');
          }
        }
        await cluster.expectEqualHashes();
        for (const door of [theirs, other]) {
          for (let i = 0; i < REQUESTS_PER_DOOR; i++) {
            const odd = oddRequest(random);
            const isRefused = (await send(door, odd)) === 'malformed';
            if (door === other || release === '3.7') expect(isRefused).toBe(isMalformed(odd));
            else if (isRefused && !isMalformed(odd)) refusedByOld++;
          }
          await cluster.expectEqualHashes();
        }
      }
      // Known fields of another wire type.
      expect(refusedByOld > 0).toBe(release !== '3.7');
      for (const member of [theirs, one, other]) {
        await member.kill();
        await member.restart();
      }
      await cluster.expectEqualHashes();
      expect(cluster.running).toHaveLength(3);
    });
  });
}
