import { expect, test } from 'vitest';
import { bytesFromUtf8, seededRandom, TetcdError, utf8FromBytes } from '../base/index.ts';
import type { Member } from './member.ts';
import { EXAMPLE_CONTENTS, EXAMPLE_TEXT } from './v2-store.fixture.ts';
import { readV2Store, type V2Contents, writeV2Store } from './v2-store.ts';

const write = (contents: V2Contents): string => utf8FromBytes(writeV2Store(contents));
const read = (text: string) => readV2Store(bytesFromUtf8(text));

test('the worked example, written and read', () => {
  expect(write(EXAMPLE_CONTENTS)).toBe(EXAMPLE_TEXT);
  expect(read(EXAMPLE_TEXT)).toMatchObject(EXAMPLE_CONTENTS);
});

test('an empty store', () => {
  const contents: V2Contents = { members: [], removed: [], version: undefined };
  const text = write(contents);
  expect(text).toContain(
    '"Size":0,"Front":0,"Back":0,"Capacity":1000},"StartIndex":0,"LastIndex":0',
  );
  expect(read(text)).toMatchObject(contents);
});

test('the ring of changes keeps the last thousand, in order from its front', () => {
  for (const count of [999, 1000, 1001, 2500]) {
    const removed = Array.from({ length: count }, (_, i) => BigInt(i + 1));
    const text = write({ members: [], removed, version: undefined });
    const { EventHistory: history } = JSON.parse(text).WatcherHub;
    const { Events: slots, Size: size, Front: front, Back: back } = history.Queue;
    expect(slots).toHaveLength(1000);
    expect(size).toBe(Math.min(count, 1000));
    expect(back).toBe(count % 1000);
    const indexes = Array.from({ length: size }, (_, i) => {
      return slots[(front + i) % 1000].node.modifiedIndex;
    });
    const first = count - size + 1;
    expect(indexes).toEqual(Array.from({ length: size }, (_, i) => first + i));
    expect([history.StartIndex, history.LastIndex]).toEqual([first, count]);
    expect(read(text).removed).toHaveLength(count);
  }
});

test('a member that only has a name is written as one that has not published itself', () => {
  const member: Member = {
    id: 1n,
    peerURLs: ['http://h:1'],
    isLearner: false,
    name: 'n1',
    clientURLs: [],
  };
  const contents = { members: [member], removed: [], version: undefined };
  expect(read(write(contents)).members).toEqual([{ ...member, name: '' }]);
});

const FACTS = '"CreatedIndex":1,"ModifiedIndex":1,"ExpireTime":"0001-01-01T00:00:00Z"';
const REST = '"WatcherHub":{},"CurrentIndex":1,"Stats":{},"CurrentVersion":2';
function file(path: string, value = ''): string {
  const text = JSON.stringify(value);
  return `{"Path":"${path}",${FACTS},"Value":${text},"Children":null}`;
}
function directory(path: string, children: string): string {
  return `{"Path":"${path}",${FACTS},"Value":"","Children":{${children}}}`;
}
function store(children: string): string {
  return `{"Root":${directory('/', children)},${REST}}`;
}
/** The directory `/0` with a member 1 whose directory holds `children`. */
function oneMember(children: string): string {
  const member = `"1":${directory('/0/members/1', children)}`;
  return `"0":${directory('/0', `"members":${directory('/0/members', member)}`)}`;
}

test('what is left of deleted v2 users is tolerated', () => {
  const users = directory(
    '/2',
    `"enabled":${file('/2/enabled', 'false')},"roles":${directory('/2/roles', '')},` +
      `"users":${directory('/2/users', '')}`,
  );
  expect(read(store(`"0":${directory('/0', '')},"2":${users}`)).members).toEqual([]);
});

test.each([
  ['keys of the v2 API', `"1":${directory('/1', `"foo":${file('/1/foo', 'bar')}`)}`, '(/1/foo)'],
  ['a key in place of its directory', `"1":${file('/1')}`, '(/1)'],
  [
    'v2 users',
    `"2":${directory('/2', `"users":${directory('/2/users', `"u":${file('/2/users/u')}`)}`)}`,
    '(/2/users)',
  ],
  [
    'enabled v2 users',
    `"2":${directory('/2', `"enabled":${file('/2/enabled', 'true')}`)}`,
    '/2/enabled',
  ],
  ['another root', `"3":${directory('/3', '')}`, '/3, which is not known'],
  ['another setting', `"0":${directory('/0', `"x":${file('/0/x')}`)}`, '/0/x'],
  ['another member key', oneMember(`"zone":${file('/0/members/1/zone')}`), '/0/members/1/zone'],
  ['a member without raft attributes', oneMember(''), '/0/members/1 has no raftAttributes'],
  ['a bad version', `"0":${directory('/0', `"version":${file('/0/version', 'x')}`)}`, '/0/version'],
  [
    'keys that expire',
    `"1":${directory('/1', '').replace('0001-01-01', '2026-01-01')}`,
    '/1: keys of the v2 API that expire',
  ],
  ['a node in another place', `"0":${directory('/9', '')}`, "must be the node's place, /0"],
])('%s is refused', (_, children, text) => {
  expect(() => read(store(children))).toThrow(text);
});

test('another form of the whole is refused', () => {
  expect(() => read(EXAMPLE_TEXT.replace('"CurrentVersion":2', '"CurrentVersion":3'))).toThrow(
    'its version is 3',
  );
  expect(() => read(EXAMPLE_TEXT.replace('"Stats"', '"stats"'))).toThrow('"stats" is not known');
  expect(() => read(EXAMPLE_TEXT.slice(0, -1))).toThrow('v2 store of a snapshot: JSON');
  expect(() => read('[]')).toThrow('expected an object');
});

test('a damaged text is refused by a TetcdError or read, never anything else', () => {
  const seed = Number(process.env['TETCD_SEED'] ?? 1);
  const random = seededRandom(seed);
  const example = bytesFromUtf8(EXAMPLE_TEXT.replaceAll(',null', ''));
  for (let round = 0; round < 3_000; round++) {
    const damaged = example.slice(
      0,
      random.below(20) === 0 ? random.below(example.length) : undefined,
    );
    for (let hits = random.below(3); hits >= 0; hits--) {
      damaged[random.below(damaged.length)] = random.below(256);
    }
    try {
      readV2Store(damaged);
    } catch (error) {
      expect(error, `TETCD_SEED=${seed} round ${round}`).toBeInstanceOf(TetcdError);
    }
  }
});

test('values of megabytes are refused by their path like others', () => {
  const large = file('/1/foo', 'x\\"'.repeat(2_000_000));
  expect(() => read(store(`"1":${directory('/1', `"foo":${large}`)}`))).toThrow('(/1/foo)');
});
