import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesFromUtf8, utf8FromBytes } from '../base/index.ts';
import { confChangeContext, promotionContext } from './bootstrap.ts';
import {
  Cluster,
  type ClusterState,
  CONF_CHANGE,
  type ConfChangeInput,
  emptyState,
} from './cluster.ts';
import type { Member } from './member.ts';
import { type Row, type RowChange, readRows } from './rows.ts';

const OPTIONS = { clusterId: 99n, maxLearners: 1 };

function member(id: bigint, part: Partial<Member> = {}): Member {
  const peerURLs = [`http://10.0.0.${id}:2380`];
  return { id, peerURLs, isLearner: false, name: '', clientURLs: [], ...part };
}

function add(each: Member): ConfChangeInput {
  const type = each.isLearner ? CONF_CHANGE.ADD_LEARNER : CONF_CHANGE.ADD_NODE;
  return { type, nodeId: each.id, context: confChangeContext(each) };
}

function remove(nodeId: bigint): ConfChangeInput {
  return { type: CONF_CHANGE.REMOVE_NODE, nodeId, context: new Uint8Array(0) };
}

function update(each: Member): ConfChangeInput {
  return { type: CONF_CHANGE.UPDATE_NODE, nodeId: each.id, context: confChangeContext(each) };
}

function promote(nodeId: bigint): ConfChangeInput {
  return { type: CONF_CHANGE.ADD_NODE, nodeId, context: promotionContext(nodeId) };
}

function cluster(...members: Member[]): Cluster {
  return new Cluster({ ...emptyState(0), members }, OPTIONS);
}

function texts(rows: readonly RowChange[]): string[] {
  return rows.map(({ bucket, key, value }) => {
    return `${bucket}/${key}=${value === undefined ? 'deleted' : utf8FromBytes(value)}`;
  });
}

test('members come and go, and every change says which rows to write', () => {
  const state = cluster();
  const added = state.applyConfChange(1, add(member(1n, { name: 'n1' })));
  expect(added).toMatchObject({ kind: 'added', member: { id: 1n, name: 'n1' } });
  const rowsOf = (outcome: ReturnType<Cluster['applyConfChange']>): string[] =>
    'rows' in outcome ? texts(outcome.rows) : [outcome.kind];
  expect(rowsOf(added)).toEqual([
    'members/1={"id":1,"peerURLs":["http://10.0.0.1:2380"],"name":"n1"}',
  ]);
  expect(rowsOf(state.applyConfChange(2, add(member(0xabcn, { isLearner: true }))))).toEqual([
    'members/abc={"id":2748,"peerURLs":["http://10.0.0.2748:2380"],"isLearner":true}',
  ]);
  expect(rowsOf(state.applyConfChange(3, promote(0xabcn)))).toEqual([
    'members/abc={"id":2748,"peerURLs":["http://10.0.0.2748:2380"]}',
  ]);
  const moved = member(1n, { peerURLs: ['http://x:1'] });
  expect(rowsOf(state.applyConfChange(4, update(moved)))).toEqual([
    'members/1={"id":1,"peerURLs":["http://x:1"],"name":"n1"}',
  ]);
  expect(texts(state.setAttributes(5, 1n, { name: 'n2', clientURLs: ['http://c:1'] }))).toEqual([
    'members/1={"id":1,"peerURLs":["http://x:1"],"name":"n2","clientURLs":["http://c:1"]}',
  ]);
  expect(rowsOf(state.applyConfChange(6, remove(1n)))).toEqual([
    'members/1=deleted',
    'members_removed/1=removed',
  ]);
  expect(texts(state.setVersion(7, { major: 3, minor: 4 }))).toEqual([
    'cluster/clusterVersion=3.4.0',
  ]);
  expect(texts(state.setDowngrade(8, { enabled: true, targetVersion: '3.6.0' }))).toEqual([
    'cluster/downgrade={"target-version":"3.6.0","enabled":true}',
  ]);
  expect(state.members().map(({ id }) => id)).toEqual([0xabcn]);
  expect(state.removedIds()).toEqual([1n]);
  expect(state.isRemoved(1n)).toBe(true);
  expect(state.appliedIndex).toBe(8);
});

test('an update keeps a learner a learner', () => {
  const state = cluster(member(2n, { isLearner: true }));
  state.applyConfChange(1, update(member(2n, { peerURLs: ['http://x:1'] })));
  expect(state.member(2n)).toMatchObject({ isLearner: true, peerURLs: ['http://x:1'] });
});

test('a change that may not be is refused by name and changes nothing', () => {
  const state = new Cluster(
    { ...emptyState(0), members: [member(1n), member(2n, { isLearner: true })], removed: [9n] },
    OPTIONS,
  );
  const before = state.members();
  const cases: readonly (readonly [ConfChangeInput, string])[] = [
    [add(member(9n)), 'ID_REMOVED'],
    [remove(9n), 'ID_REMOVED'],
    [add(member(1n)), 'ID_EXISTS'],
    [add(member(3n, { peerURLs: ['http://10.0.0.1:2380'] })), 'PEER_URL_EXISTS'],
    [add(member(3n, { isLearner: true })), 'TOO_MANY_LEARNERS'],
    [promote(3n), 'ID_NOT_FOUND'],
    [promote(1n), 'MEMBER_NOT_LEARNER'],
    [remove(3n), 'ID_NOT_FOUND'],
    [update(member(3n)), 'ID_NOT_FOUND'],
    [update(member(1n, { peerURLs: ['http://10.0.0.2:2380'] })), 'PEER_URL_EXISTS'],
  ];
  for (const [i, [change, refusal]] of cases.entries()) {
    expect(state.refusalOf(change)).toBe(refusal);
    expect(state.applyConfChange(i + 1, change)).toEqual({ kind: 'refused', refusal });
  }
  expect(state.members()).toEqual(before);
  expect(state.refusalOf(update(member(1n)))).toBeUndefined();
});

test('a log that cannot be understood is refused', () => {
  const state = cluster(member(1n));
  const change = (part: Partial<ConfChangeInput>) => ({ ...add(member(5n)), ...part });
  expect(() => state.applyConfChange(1, change({ nodeId: 6n }))).toThrow('its context names 5');
  expect(() => state.applyConfChange(2, change({ context: bytesFromUtf8('{') }))).toThrow(
    'configuration change of member 5: JSON',
  );
  expect(() => state.applyConfChange(3, change({ type: 7 }))).toThrow('unknown type 7');
  expect(() => state.setAttributes(4, 8n, { name: 'x', clientURLs: [] })).toThrow(
    'attributes of 8, which never was a member of cluster 63',
  );
  expect(() => state.setVersion(5, { major: 3, minor: 8 })).toThrow(
    'server version 3.7 is lower than determined cluster version 3.8',
  );
  expect(
    () => new Cluster({ ...emptyState(0), members: [member(1n)], removed: [1n] }, OPTIONS),
  ).toThrow('1 is a member and was removed');
});

test('attributes of a removed member are dropped', () => {
  const state = new Cluster({ ...emptyState(0), removed: [3n] }, OPTIONS);
  expect(state.setAttributes(1, 3n, { name: 'x', clientURLs: [] })).toEqual([]);
});

test('an entry that the state covers does nothing', () => {
  // Refused when it was new, since member 2 had the URL; later member 2 gave the URL up.
  const state = cluster(member(1n), member(2n));
  const wanted = add(member(3n, { peerURLs: ['http://10.0.0.2:2380'] }));
  expect(state.applyConfChange(5, wanted)).toMatchObject({ kind: 'refused' });
  state.applyConfChange(6, update(member(2n, { peerURLs: ['http://free:1'] })));
  const reloaded = new Cluster(state.state(), OPTIONS);
  expect(reloaded.applyConfChange(5, wanted)).toEqual({ kind: 'replayed' });
  expect(reloaded.setAttributes(6, 1n, { name: 'old', clientURLs: [] })).toEqual([]);
  expect(reloaded.setVersion(6, { major: 3, minor: 5 })).toEqual([]);
  expect(reloaded.setDowngrade(6, { enabled: true, targetVersion: '3.6.0' })).toEqual([]);
  expect(reloaded.state()).toEqual(state.state());
});

/** Entries of a random log, most of which mean something to the members 1 to 5. */
type Entry = (state: Cluster, index: number) => readonly RowChange[];
const entry: fc.Arbitrary<Entry> = fc
  .record({
    kind: fc.integer({ min: 0, max: 6 }),
    id: fc.bigInt({ min: 1n, max: 5n }),
    url: fc.integer({ min: 0, max: 6 }),
    isLearner: fc.boolean(),
  })
  .map(({ kind, id, url, isLearner }): Entry => {
    const each = member(id, { isLearner, peerURLs: [`http://h:${url}`] });
    return (state, index) => {
      if (kind === 5) return state.setVersion(index, { major: 3, minor: url });
      if (kind === 6) {
        const isKnown = state.member(id) !== undefined || state.isRemoved(id);
        return isKnown ? state.setAttributes(index, id, { name: `n${url}`, clientURLs: [] }) : [];
      }
      const change = [add(each), add(each), remove(id), update(each), promote(id)][kind]!;
      const outcome = state.applyConfChange(index, change);
      return 'rows' in outcome ? outcome.rows : [];
    };
  });

function applyRows(table: Map<string, Row>, rows: readonly RowChange[]): void {
  for (const { bucket, key, value } of rows) {
    if (value === undefined) table.delete(`${bucket}/${key}`);
    else table.set(`${bucket}/${key}`, { bucket, key, value, place: `${bucket}/${key}` });
  }
}

test('the rows are the state; reloading them anywhere and replaying more gives the same', () => {
  const input = fc.tuple(fc.array(entry, { maxLength: 40 }), fc.nat(), fc.nat());
  fc.assert(
    fc.property(input, ([log, from, until]) => {
      const whole = cluster();
      const table = new Map<string, Row>();
      const saved = until % (log.length + 1);
      let reloaded: Cluster | undefined;
      for (const [i, apply] of log.entries()) {
        if (i === saved) reloaded = load(table, i);
        applyRows(table, apply(whole, i + 1));
      }
      reloaded ??= load(table, saved);
      const start = from % (saved + 1);
      for (const [i, apply] of log.slice(start).entries()) apply(reloaded, start + i + 1);
      expect(withoutIndex(reloaded.state())).toEqual(withoutIndex(whole.state()));
      const rows = readRows(table.values());
      const sorted = [...rows.members].sort((a, b) => Number(a.id - b.id));
      expect(sorted).toEqual(whole.members());
      expect(rows.version).toEqual(whole.version);
    }),
  );

  function load(table: ReadonlyMap<string, Row>, appliedIndex: number): Cluster {
    return new Cluster({ ...readRows(table.values()), appliedIndex }, OPTIONS);
  }
  function withoutIndex(state: ClusterState): Omit<ClusterState, 'appliedIndex'> {
    const { appliedIndex: _, ...rest } = state;
    return rest;
  }
});

test('rewriting the rows removes stale ones', () => {
  const state = new Cluster(
    {
      ...emptyState(10),
      members: [member(1n, { name: 'n1' })],
      removed: [2n],
      version: { major: 3, minor: 5 },
    },
    OPTIONS,
  );
  const existing = [
    { bucket: 'members', key: '1' },
    { bucket: 'members', key: '2' },
    { bucket: 'members_removed', key: '7' },
    { bucket: 'cluster', key: 'downgrade' },
  ] as const;
  expect(texts(state.rewriteRows(existing))).toEqual([
    'members/1={"id":1,"peerURLs":["http://10.0.0.1:2380"],"name":"n1"}',
    'members_removed/2=removed',
    'cluster/clusterVersion=3.5.0',
    'members/2=deleted',
    'members_removed/7=deleted',
    'cluster/downgrade=deleted',
  ]);
});

test('rows that cannot be understood are refused by name', () => {
  const row = (bucket: Row['bucket'], key: string, text: string): Row[] => [
    { bucket, key, value: bytesFromUtf8(text), place: `db: page 7: ${bucket} ${key}` },
  ];
  expect(() => readRows(row('members', '2', '{"id":1,"peerURLs":[]}'))).toThrow(
    'db: page 7: members 2: holds the member 1',
  );
  expect(() => readRows(row('members', '2', '{"peerURLs":[]}'))).toThrow(
    'db: page 7: members 2: JSON: id must be an id, not 0',
  );
  expect(() => readRows(row('members', 'x', '{"id":1}'))).toThrow('no member id');
  expect(() => readRows(row('cluster', 'clusterVersion', '3.x'))).toThrow('MAJOR.MINOR.PATCH');
  expect(() => readRows(row('cluster', 'other', ''))).toThrow('not known to this release');
  expect(
    readRows(row('cluster', 'downgrade', '{"target-version":"","enabled":false}')),
  ).toMatchObject({ downgrade: { enabled: false, targetVersion: '' } });
});

test('quorum rules count started voters', () => {
  const n = (id: bigint) => member(id, { name: `n${id}` });
  expect(cluster(n(1n)).isReadyToAddVoter()).toBe(true);
  expect(cluster(n(1n), member(2n)).isReadyToAddVoter()).toBe(false);
  expect(cluster(n(1n), n(2n), member(3n)).isReadyToAddVoter()).toBe(false);
  expect(cluster(n(1n), n(2n), n(3n), member(4n)).isReadyToAddVoter()).toBe(true);
  expect(cluster(n(1n), n(2n), member(3n)).isReadyToRemoveVoter(3n)).toBe(true);
  expect(cluster(n(1n), n(2n), member(3n)).isReadyToRemoveVoter(2n)).toBe(false);
  expect(cluster(n(1n)).isReadyToRemoveVoter(1n)).toBe(false);
  expect(cluster(n(1n), member(2n, { isLearner: true })).isReadyToPromote()).toBe(true);
  expect(cluster(n(1n), member(2n), member(3n)).isReadyToPromote()).toBe(false);
});
