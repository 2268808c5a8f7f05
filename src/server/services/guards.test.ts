// What a member refuses beforehand, and in whose name it proposes the rest.

import { expect, test, vi } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { UnaryCall } from '../../rpc/index.ts';
import type { Member } from '../member.ts';
import { SimMember, servingOf } from '../testing/sim-member.fixture.ts';
import { memberGuards } from './guards.ts';

const { KVService, LeaseService, MaintenanceService } = etcdserverpb;

/** Runs on a member whose services are those of every other one. */
async function withMember(body: (member: Member) => void): Promise<void> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    body(member);
    await member.stop();
  });
}

interface State {
  readonly isLearner?: boolean;
  readonly leader?: bigint;
  readonly mayGrow?: boolean;
}

/** With what a request must have to be right in itself. */
function plausible(request: unknown): unknown {
  const fields = request as Record<string, unknown>;
  if ('key' in fields) fields['key'] = bytesFromLatin1('k');
  if ('peerURLs' in fields) fields['peerURLs'] = ['http://127.0.0.1:1'];
  return fields;
}

/** The methods that are served to an empty request, and the message for the others. */
function ask(member: Member, state: State, metadata = new Map<string, string>()) {
  const { isLearner = false, leader = 1n, mayGrow = true } = state;
  const guards = memberGuards({
    membership: { isLearner },
    raft: { leader },
    quota: { mayGrow: () => mayGrow },
    metrics: member.parts.metrics,
  });
  const served: string[] = [];
  const messages = new Set<string>();
  for (const entry of member.services.entries()) {
    const { path, request } = entry.descriptor;
    const decoded = entry.kind === 'unary' ? plausible(request.create()) : undefined;
    const call = { metadata } as unknown as UnaryCall;
    const refusals = guards.map((guard) => guard(call, entry, decoded));
    const refusal = refusals.find((one) => one !== undefined);
    if (refusal === undefined) served.push(path.replace(/^.*\./, ''));
    else messages.add(`${refusal.status} ${refusal.message}`);
  }
  return { served, messages: [...messages] };
}

const HEALTH = ['Health/Check', 'Health/List', 'Health/Watch'];

test('who is refused what: a learner, without a leader, without memory', async () => {
  await withMember((member) => {
    const all = [...member.services.entries()].length;
    const demands = new Map([['hasleader', 'true']]);
    expect(ask(member, {}, demands).served).toHaveLength(all);
    expect(ask(member, { leader: 0n }).served).toHaveLength(all);

    expect(ask(member, { isLearner: true })).toEqual({
      served: ['Maintenance/Status', 'Maintenance/Snapshot', ...HEALTH],
      messages: ['9 etcdserver: rpc not supported for learner'],
    });
    expect(ask(member, { leader: 0n }, demands)).toEqual({
      served: HEALTH,
      messages: ['14 etcdserver: no leader'],
    });
    const { served, messages } = ask(member, { mayGrow: false });
    expect(messages).toEqual(['8 etcdserver: too many requests']);
    const refused = [...member.services.entries()]
      .map(({ descriptor: { path } }) => path.replace(/^.*\./, ''))
      .filter((path) => !served.includes(path));
    expect(refused).toEqual([
      'KV/RangeStream',
      'Watch/Watch',
      'Lease/LeaseGrant',
      'Lease/LeaseKeepAlive',
      'Maintenance/Snapshot',
      'Lock/Lock',
      'Election/Campaign',
      'Election/Observe',
    ]);
    // Of several reasons the first in the order counts: that of memory is nowhere the first.
    expect(ask(member, { isLearner: true, leader: 0n, mayGrow: false }, demands)).toEqual({
      served: HEALTH,
      messages: ['9 etcdserver: rpc not supported for learner', '14 etcdserver: no leader'],
    });
  });
});

test('a learner serves ranges that are serializable', async () => {
  await withMember((member) => {
    const entry = member.services.get(KVService.methods.range.path)!;
    const [forLearner] = memberGuards({
      membership: { isLearner: true },
      raft: { leader: 1n },
      quota: { mayGrow: () => true },
      metrics: member.parts.metrics,
    });
    const serves = (serializable: boolean) => {
      const request = KVService.methods.range.request.create({ serializable });
      return forLearner!({} as UnaryCall, entry, request) === undefined;
    };
    expect([serves(true), serves(false)]).toEqual([true, false]);
  });
});

test('what clients ask for is proposed in the name of the caller', async () => {
  await withMember((member) => {
    const propose = vi.spyOn(member.parts.proposals, 'propose').mockReturnValue(undefined);
    const key = bytesFromLatin1('k');
    const { put, deleteRange, txn, compact } = KVService.methods;
    const { leaseGrant, leaseRevoke } = LeaseService.methods;
    const { alarm } = MaintenanceService.methods;
    const requestPut = { case: 'requestPut', value: put.request.create({ key }) } as const;
    const writes: readonly (readonly [string, Uint8Array])[] = [
      [put.path, put.request.encode(put.request.create({ key }))],
      [deleteRange.path, deleteRange.request.encode(deleteRange.request.create({ key }))],
      [txn.path, txn.request.encode(txn.request.create({ success: [{ request: requestPut }] }))],
      [compact.path, compact.request.encode(compact.request.create({ revision: 1 }))],
      [leaseGrant.path, leaseGrant.request.encode(leaseGrant.request.create({ ttl: 9 }))],
      [leaseRevoke.path, leaseRevoke.request.encode(leaseRevoke.request.create({ id: 1n }))],
      [alarm.path, alarm.request.encode(alarm.request.create())],
    ];
    const root = { username: 'root', authRevision: 3 };
    const failures: string[] = [];
    for (const caller of [root, undefined]) {
      for (const [path, bytes] of writes) {
        const call = {
          ...{ caller, metadata: new Map() },
          fail: (_: number, text: string) => failures.push(text),
        };
        servingOf(member, path)(call as unknown as UnaryCall, bytes);
      }
    }
    expect(failures).toEqual([]);
    const names = propose.mock.calls.map(([, caller]) => caller?.username);
    expect(names).toEqual([...writes.map(() => 'root'), ...writes.map(() => undefined)]);
    propose.mockRestore();
  });
});
