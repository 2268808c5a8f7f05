import { describe, expect, test } from 'vitest';
import { EMPTY_BYTES } from '../../base/index.ts';
import { Cluster, emptyState } from '../../membership/index.ts';
import type { ConfChange } from '../../raft/index.ts';
import { RequestEnvelope, readEnvelope } from '../../store/apply/request-envelope.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import { DEFAULT_FEATURE_GATES } from '../config/index.ts';
import { APPLY_BACKLOG_MAX, PRIORITY_BACKLOG_MAX, REQUEST_TIMEOUT_BASE_MS } from '../limits.ts';
import { Proposals } from './proposals.ts';
import { RequestIds } from './request-ids.ts';

const BODY = Uint8Array.of(9, 1, 2, 3, 9);
const APPLIED = { kind: 'applied' } as const;

/** What a timeout is judged by; see `leadership.test.ts`. */
const noLinks = {
  leadership: { electedMs: Number.NEGATIVE_INFINITY },
  store: { machine: { cluster: new Cluster(emptyState(0), { clusterId: 1n, maxLearners: 1 }) } },
  peers: { isConnectedSince: () => false, connectedCount: () => 1 },
};

function rig() {
  const proposed: Uint8Array[] = [];
  const confChanges: ConfChange[] = [];
  const time = { nowMs: 1000 };
  const state = { hasRoom: true, backlog: 0, leads: true, priority: false };
  const expired: number[] = [];
  const observed: string[] = [];
  const proposals = new Proposals({
    memberId: 7n,
    requestIds: new RequestIds(7n, 1),
    loop: {
      get hasRoom() {
        return state.hasRoom;
      },
      propose: (payload, proposer) => {
        if (proposer.isWanted()) proposed.push(payload);
        else proposer.drop();
      },
      proposeAsLeader: (payload, drop) => {
        if (state.leads) proposed.push(payload);
        else drop();
      },
      expire: (madeBefore) => expired.push(madeBefore),
      proposeConfChange: (change) => confChanges.push(change),
    },
    turnClock: { monotonicMs: () => time.nowMs },
    requestTimes: {
      observe: (kind, success, ms) => void observed.push(`${kind} ${success} ${ms}`),
    },
    config: {
      electionMs: 1000,
      grpc: { maxRequestBytes: 1000 },
      get featureGates() {
        const enabled = { ...DEFAULT_FEATURE_GATES.enabled, PriorityRequest: state.priority };
        return { ...DEFAULT_FEATURE_GATES, enabled };
      },
    },
    raft: {
      leader: 0n,
      appliedIndex: 10,
      get committedIndex() {
        return 10 + state.backlog;
      },
    },
    ...noLinks,
  });
  const heard: string[] = [];
  const waiter = (name: string) => ({
    complete: ({ kind }: { readonly kind: string }) => heard.push(`${name} ${kind}`),
    fail: (error: string) => heard.push(`${name} ${error}`),
  });
  const propose = (name: string, body = BODY, start = 1, end = 4) =>
    proposals.propose(REQUEST_KIND.PUT, undefined, body, start, end, waiter(name));
  return { proposals, proposed, expired, observed, time, state, heard, propose, waiter };
}

function envelopeOf(payload: Uint8Array): RequestEnvelope {
  const envelope = new RequestEnvelope();
  readEnvelope(payload, envelope);
  return envelope;
}

test('an operation that nobody waits for when raft would take it is forgotten', () => {
  const { proposals, proposed, heard, waiter } = rig();
  const gone = { ...waiter('a'), isWanted: () => false };
  proposals.propose(REQUEST_KIND.PUT, undefined, BODY, 1, 4, gone);
  expect([proposed, proposals.pendingCount, heard]).toEqual([[], 0, []]);
  proposals.propose(REQUEST_KIND.PUT, undefined, BODY, 1, 4, { ...gone, isWanted: () => true });
  expect([proposed.length, proposals.pendingCount]).toEqual([1, 1]);
});

test('an operation is proposed under an id, and completed by it once', () => {
  const { proposals, proposed, heard, propose } = rig();
  propose('a');
  propose('b');
  const [first, second] = proposed.map(envelopeOf);
  expect(first!.kind).toBe(REQUEST_KIND.PUT);
  expect([...proposed[0]!.subarray(first!.bodyStart, first!.bodyEnd)]).toEqual([1, 2, 3]);
  expect([first!.idHigh, second!.idLow - first!.idLow]).toEqual([7, 1]);
  expect(proposals.pendingCount).toBe(2);
  expect(proposals.isAwaited(7, second!.idLow)).toBe(true);
  proposals.take(7, second!.idLow)?.complete(APPLIED);
  expect(proposals.take(7, second!.idLow)).toBeUndefined();
  expect(proposals.isAwaited(7, second!.idLow)).toBe(false);
  proposals.take(7, first!.idLow)?.complete(APPLIED);
  expect(heard).toEqual(['b applied', 'a applied']);
});

test('an operation is logged in the name of its caller', () => {
  const { proposals, proposed, waiter } = rig();
  const alice = { username: 'alice', authRevision: 5 };
  proposals.propose(REQUEST_KIND.PUT, alice, BODY, 1, 4, waiter('a'));
  proposals.propose(REQUEST_KIND.PUT, undefined, BODY, 1, 4, waiter('b'));
  const [hers, nobodys] = proposed.map(envelopeOf);
  expect(hers).toMatchObject(alice);
  expect(nobodys).toMatchObject({ username: '', authRevision: 0 });
  expect([...proposed[0]!.subarray(hers!.bodyStart, hers!.bodyEnd)]).toEqual([1, 2, 3]);
});

test('the body may change once it is proposed', () => {
  const { proposed, propose } = rig();
  const body = Uint8Array.from(BODY);
  propose('a', body);
  body.fill(0);
  const { bodyStart, bodyEnd } = envelopeOf(proposed[0]!);
  expect([...proposed[0]!.subarray(bodyStart, bodyEnd)]).toEqual([1, 2, 3]);
});

test("another member's entry of the same number is not ours", () => {
  const { proposals, proposed, propose } = rig();
  propose('a');
  const { idLow } = envelopeOf(proposed[0]!);
  expect(proposals.take(8, idLow)).toBeUndefined();
  expect(proposals.isAwaited(8, idLow)).toBe(false);
  expect(proposals.pendingCount).toBe(1);
});

describe('refused at once', () => {
  test('with a long backlog, or no room in the loop', () => {
    const { proposals, proposed, state, heard, propose, waiter } = rig();
    state.backlog = APPLY_BACKLOG_MAX;
    propose('just');
    state.backlog++;
    propose('over');
    state.backlog = 0;
    state.hasRoom = false;
    propose('full');
    proposals.proposeV2(() => EMPTY_BYTES, waiter('v2'));
    expect(heard).toEqual([
      'over REQUEST_TOO_MANY_REQUESTS',
      'full REQUEST_TOO_MANY_REQUESTS',
      'v2 REQUEST_TOO_MANY_REQUESTS',
    ]);
    expect([proposed.length, proposals.pendingCount]).toEqual([1, 1]);
  });

  test('with the gate PriorityRequest, revocations of leases later than others', () => {
    const { proposals, proposed, state, heard, propose, waiter } = rig();
    const revoke = (name: string): void =>
      proposals.propose(REQUEST_KIND.LEASE_REVOKE, undefined, BODY, 1, 4, waiter(name));
    state.backlog = APPLY_BACKLOG_MAX + 1;
    revoke('closed');
    state.priority = true;
    propose('put');
    revoke('first');
    state.backlog = PRIORITY_BACKLOG_MAX;
    revoke('just');
    state.backlog++;
    revoke('over');
    expect(heard).toEqual(
      ['closed', 'put', 'over'].map((name) => `${name} REQUEST_TOO_MANY_REQUESTS`),
    );
    expect(proposed.length).toBe(2);
  });

  test('when it is too large, envelope included', () => {
    const { proposals, proposed, heard, propose } = rig();
    const fits = 1000 - 16; // Tags, length, and a header with an id of this size.
    for (const size of [fits - 2, 1000]) propose(`${size}`, new Uint8Array(size), 0, size);
    expect(heard).toEqual(['1000 REQUEST_TOO_LARGE']);
    expect([proposed.length, proposals.pendingCount]).toEqual([1, 1]);
    expect(proposed[0]!.length).toBeLessThanOrEqual(1000);
  });
});

test('what has waited too long is given up, oldest first, and only that', () => {
  const { proposals, expired, time, heard, propose } = rig();
  const limitMs = REQUEST_TIMEOUT_BASE_MS + 2000;
  propose('a');
  time.nowMs += 10;
  propose('b');
  time.nowMs += limitMs - 11;
  proposals.expire();
  expect(heard).toEqual([]);
  time.nowMs += 1;
  proposals.expire();
  expect(heard).toEqual(['a TIMEOUT']);
  time.nowMs += 10;
  proposals.expire();
  expect(heard).toEqual(['a TIMEOUT', 'b TIMEOUT']);
  expect([proposals.failedCount, proposals.pendingCount]).toEqual([2, 0]);
  // Nor are those proposed any more that raft has not taken.
  expect(expired).toEqual([999, 1000, 1010]);
});

test('many are given up oldest first, and may propose again at once', () => {
  const { proposals, proposed, time, heard, propose, waiter } = rig();
  const COUNT = 40;
  // Ids on both sides of a multiple of 256.
  for (let i = 0; i < 256 - COUNT / 2; i++) {
    propose('taken');
    expect(proposals.take(7, envelopeOf(proposed.at(-1)!).idLow)).toBeDefined();
  }
  const again = {
    ...waiter('0'),
    fail: (error: string) => {
      heard.push(`0 ${error}`);
      for (let i = 0; i < 10 * COUNT; i++) propose(`again ${i}`);
    },
  };
  proposals.propose(REQUEST_KIND.PUT, undefined, BODY, 1, 4, again);
  for (let i = 1; i < COUNT; i++) propose(`${i}`);
  time.nowMs += REQUEST_TIMEOUT_BASE_MS + 2001;
  proposals.expire();
  expect(heard).toEqual(Array.from({ length: COUNT }, (_, i) => `${i} TIMEOUT`));
  expect(proposals.pendingCount).toBe(10 * COUNT);
});

test('a member that stops tells everybody, and takes no more', () => {
  const { proposals, proposed, heard, propose, waiter } = rig();
  propose('a');
  const again = waiter('again');
  proposals.propose(REQUEST_KIND.PUT, undefined, EMPTY_BYTES, 0, 0, {
    complete: () => {},
    // Whoever is told may ask again at once.
    fail: () => proposals.propose(REQUEST_KIND.PUT, undefined, EMPTY_BYTES, 0, 0, again),
  });
  proposals.stop();
  propose('late');
  proposals.proposeV2(() => EMPTY_BYTES, waiter('v2'));
  expect(heard).toEqual(['a STOPPED', 'again STOPPED', 'late STOPPED', 'v2 STOPPED']);
  expect([proposed.length, proposals.pendingCount]).toEqual([2, 0]);
});

test('times of what went through the log: a refusal when it was applied is a success', () => {
  const { proposals, proposed, observed, time, propose, state, waiter } = rig();
  propose('a');
  time.nowMs += 3;
  proposals
    .take(7, envelopeOf(proposed[0]!).idLow)
    ?.complete({ kind: 'error', error: 'COMPACTED' });
  propose('too large', new Uint8Array(1000), 0, 1000);
  const gone = { ...waiter('gone'), isWanted: () => false };
  proposals.propose(REQUEST_KIND.TXN, undefined, BODY, 1, 4, gone);
  state.leads = false;
  proposals.proposeAsLeader(REQUEST_KIND.LEASE_REVOKE, undefined, BODY, waiter('follower'));
  state.hasRoom = false;
  propose('full');
  state.hasRoom = true;
  propose('late');
  proposals.proposeV2(() => BODY, waiter('v2'));
  time.nowMs += 60_000;
  proposals.expire();
  const { PUT, TXN, LEASE_REVOKE } = REQUEST_KIND;
  expect(observed).toEqual([
    `${PUT} true 3`,
    `${PUT} false 0`,
    `${TXN} false 0`,
    `${LEASE_REVOKE} false 0`,
    `${PUT} false 60000`,
  ]);
});

test('a v2 request is made for the id that it is awaited by', () => {
  const { proposals, proposed, heard, waiter } = rig();
  let id = 0n;
  proposals.proposeV2((given) => {
    id = given;
    return Uint8Array.of(1);
  }, waiter('v2'));
  expect(proposed).toEqual([Uint8Array.of(1)]);
  proposals.take(Number(id >> 48n), Number(id & 0xffff_ffff_ffffn))?.complete(APPLIED);
  expect(heard).toEqual(['v2 applied']);
});

test('what only a leader may say fails where it does not lead', () => {
  const { proposals, proposed, state, heard, waiter } = rig();
  proposals.proposeAsLeader(REQUEST_KIND.LEASE_REVOKE, undefined, BODY, waiter('a'));
  state.leads = false;
  proposals.proposeAsLeader(REQUEST_KIND.LEASE_REVOKE, undefined, BODY, waiter('b'));
  expect(heard).toEqual(['b NOT_LEADER']);
  expect(envelopeOf(proposed[0]!).kind).toBe(REQUEST_KIND.LEASE_REVOKE);
  expect([proposed.length, proposals.pendingCount]).toEqual([1, 1]);
  proposals.stop();
  proposals.proposeAsLeader(REQUEST_KIND.LEASE_REVOKE, undefined, BODY, waiter('c'));
  expect(heard).toEqual(['b NOT_LEADER', 'a STOPPED', 'c STOPPED']);
});
