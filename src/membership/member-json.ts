// The JSON forms of a member, byte for byte as etcd writes them:
//
// | form            | where                                        | keys, in order
// | member          | rows of `members`, contexts of conf changes  | id peerURLs isLearner? name?
// |                 |                                              | clientURLs?
// | promotion       | context of a learner's promotion             | id peerURLs:null isPromote
// | raft attributes | v2 store, `/0/members/<id>/raftAttributes`   | peerURLs isLearner?
// | attributes      | v2 store and v2 request, `.../attributes`    | name? clientURLs?
//
// Keys with `?` are left out when empty or false. Example of the first form:
//   {"id":9372538179322589801,"peerURLs":["http://127.0.0.1:2380"],"name":"default"}

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import type { Attributes, Member, MemberId, RaftAttributes } from './member.ts';
import { Fields, parseStoredJson, writeString, writeStrings } from './stored-json.ts';

/** What the context of a configuration change says. */
interface ConfChangeContext {
  readonly member: Member;
  /** The change makes a voter of a learner; `member` then holds the id only. */
  readonly isPromote: boolean;
}

export function writeMember(member: Member): string {
  return `{${joinKeys([`"id":${member.id}`, ...raftKeys(member), ...attributeKeys(member)])}}`;
}

/** The members as `/members` of the peer port has them, without the newline. */
export function writeMembers(members: readonly Member[]): string {
  return `[${members.map(writeMember).join(',')}]`;
}

/** MALFORMED or UNSUPPORTED, naming `what`, if the text is no list of members. */
export function parseMembers(text: string, what: string): Member[] {
  const list = parseStoredJson(text, what);
  if (!Array.isArray(list)) throw new TetcdError(ERROR_CODES.MALFORMED, `${what}: expected a list`);
  return list.map((item) => {
    const fields = new Fields(item, what);
    const member = readMember(fields);
    fields.onlyThese();
    return member;
  });
}

/** The context of the conf change that promotes the learner `id`. */
export function writePromotion(id: MemberId): string {
  return `{"id":${id},"peerURLs":null,"isPromote":true}`;
}

export function writeRaftAttributes(attributes: RaftAttributes): string {
  return `{${joinKeys(raftKeys(attributes))}}`;
}

export function writeAttributes(attributes: Attributes): string {
  return `{${joinKeys(attributeKeys(attributes))}}`;
}

/** MALFORMED or UNSUPPORTED, naming `what`, if the text is something else. */
export function parseMember(text: string, what: string): Member {
  const fields = new Fields(parseStoredJson(text, what), what);
  const member = readMember(fields);
  fields.onlyThese();
  return member;
}

export function parseConfChangeContext(text: string, what: string): ConfChangeContext {
  const fields = new Fields(parseStoredJson(text, what), what);
  const context = { member: readMember(fields), isPromote: fields.boolean('isPromote') };
  fields.onlyThese();
  return context;
}

export function parseRaftAttributes(text: string, what: string): RaftAttributes {
  const fields = new Fields(parseStoredJson(text, what), what);
  const attributes = readRaftAttributes(fields);
  fields.onlyThese();
  return attributes;
}

export function parseAttributes(text: string, what: string): Attributes {
  const fields = new Fields(parseStoredJson(text, what), what);
  const attributes = readAttributes(fields);
  fields.onlyThese();
  return attributes;
}

function readMember(fields: Fields): Member {
  const id = fields.uint64('id');
  if (id === 0n) fields.refuse('id', 'an id, not 0');
  return { id, ...readRaftAttributes(fields), ...readAttributes(fields) };
}

function readRaftAttributes(fields: Fields): RaftAttributes {
  return { peerURLs: fields.strings('peerURLs'), isLearner: fields.boolean('isLearner') };
}

function readAttributes(fields: Fields): Attributes {
  return { name: fields.string('name'), clientURLs: fields.strings('clientURLs') };
}

function raftKeys(attributes: RaftAttributes): string[] {
  return [
    `"peerURLs":${writeStrings(attributes.peerURLs)}`,
    attributes.isLearner ? '"isLearner":true' : '',
  ];
}

function attributeKeys(attributes: Attributes): string[] {
  return [
    attributes.name === '' ? '' : `"name":${writeString(attributes.name)}`,
    attributes.clientURLs.length === 0 ? '' : `"clientURLs":${writeStrings(attributes.clientURLs)}`,
  ];
}

function joinKeys(keys: readonly string[]): string {
  return keys.filter((key) => key !== '').join(',');
}
