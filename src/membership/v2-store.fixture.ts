// The worked example of the v2 store's JSON: one member that has published itself, at version 3.7.
// It is what etcd 3.7.1 wrote for these facts.

import type { V2Contents } from './v2-store.ts';

export const EXAMPLE_CONTENTS: V2Contents = {
  members: [
    {
      id: 0x058c912187fcc598n,
      peerURLs: ['http://127.0.0.1:42680'],
      isLearner: false,
      name: 'n1',
      clientURLs: ['http://127.0.0.1:42679'],
    },
    {
      id: 0xa627c5557cf476c8n,
      peerURLs: ['http://127.0.0.1:10'],
      isLearner: true,
      name: '',
      clientURLs: [],
    },
  ],
  removed: [0x1773e38b9fa27782n],
  version: { major: 3, minor: 7 },
};

const TIME = '"ExpireTime":"0001-01-01T00:00:00Z"';
const RAFT_1 = '"{\\"peerURLs\\":[\\"http://127.0.0.1:42680\\"]}"';
const ATTRIBUTES_1 = '"{\\"name\\":\\"n1\\",\\"clientURLs\\":[\\"http://127.0.0.1:42679\\"]}"';
const RAFT_2 = '"{\\"peerURLs\\":[\\"http://127.0.0.1:10\\"],\\"isLearner\\":true}"';

function node(path: string, index: number, value: string, children: string): string {
  const indexes = `"CreatedIndex":${index},"ModifiedIndex":${index}`;
  return `{"Path":"${path}",${indexes},${TIME},"Value":${value},"Children":${children}}`;
}

function event(action: string, key: string, index: number, value: string): string {
  const indexes = `"modifiedIndex":${index},"createdIndex":${index}`;
  return `{"action":"${action}","node":{"key":"${key}","value":${value},${indexes}}}`;
}

const FIRST = '/0/members/58c912187fcc598';
const SECOND = '/0/members/a627c5557cf476c8';
const REMOVED = '/0/removed_members/1773e38b9fa27782';

const firstChildren =
  `{"attributes":${node(`${FIRST}/attributes`, 2, ATTRIBUTES_1, 'null')},` +
  `"raftAttributes":${node(`${FIRST}/raftAttributes`, 1, RAFT_1, 'null')}}`;
const secondChildren = `{"raftAttributes":${node(`${SECOND}/raftAttributes`, 3, RAFT_2, 'null')}}`;
const members =
  `{"58c912187fcc598":${node(FIRST, 1, '""', firstChildren)},` +
  `"a627c5557cf476c8":${node(SECOND, 3, '""', secondChildren)}}`;
const removed = `{"1773e38b9fa27782":${node(REMOVED, 4, '""', 'null')}}`;
const zero =
  `{"members":${node('/0/members', 1, '""', members)},` +
  `"removed_members":${node('/0/removed_members', 4, '""', removed)},` +
  `"version":${node('/0/version', 5, '"3.7.0"', 'null')}}`;
const root = `{"0":${node('/0', 0, '""', zero)},"1":${node('/1', 0, '""', '{}')}}`;

const events = [
  event('create', `${FIRST}/raftAttributes`, 1, RAFT_1),
  event('set', `${FIRST}/attributes`, 2, ATTRIBUTES_1),
  event('create', `${SECOND}/raftAttributes`, 3, RAFT_2),
  event('create', REMOVED, 4, '""'),
  event('set', '/0/version', 5, '"3.7.0"'),
  ...new Array<string>(995).fill('null'),
];

export const EXAMPLE_TEXT: string =
  `{"Root":${node('/', 0, '""', root)},` +
  `"WatcherHub":{"EventHistory":{"Queue":{"Events":[${events.join(',')}],` +
  '"Size":5,"Front":0,"Back":5,"Capacity":1000},"StartIndex":1,"LastIndex":5}},' +
  '"CurrentIndex":5,"Stats":{"getsSuccess":0,"getsFail":1,"setsSuccess":2,"setsFail":0,' +
  '"deleteSuccess":0,"deleteFail":0,"updateSuccess":0,"updateFail":0,"createSuccess":3,' +
  '"createFail":0,"compareAndSwapSuccess":0,"compareAndSwapFail":0,"compareAndDeleteSuccess":0,' +
  '"compareAndDeleteFail":0,"expireCount":0,"watchers":0},"CurrentVersion":2}';
