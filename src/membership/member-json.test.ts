import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Member } from './member.ts';
import {
  parseAttributes,
  parseConfChangeContext,
  parseMember,
  parseRaftAttributes,
  writeAttributes,
  writeMember,
  writePromotion,
  writeRaftAttributes,
} from './member-json.ts';

const started: Member = {
  id: 2n ** 64n - 1n,
  peerURLs: ['http://127.0.0.1:2380'],
  isLearner: false,
  name: 'a<&>b',
  clientURLs: ['http://127.0.0.1:2379'],
};
const learner: Member = { ...started, id: 7n, isLearner: true, name: '', clientURLs: [] };

test('the forms that etcd writes', () => {
  expect(writeMember(started)).toBe(
    '{"id":18446744073709551615,"peerURLs":["http://127.0.0.1:2380"],' +
      '"name":"a\\u003c\\u0026\\u003eb","clientURLs":["http://127.0.0.1:2379"]}',
  );
  expect(writeMember(learner)).toBe(
    '{"id":7,"peerURLs":["http://127.0.0.1:2380"],"isLearner":true}',
  );
  expect(writeRaftAttributes(learner)).toBe(
    '{"peerURLs":["http://127.0.0.1:2380"],"isLearner":true}',
  );
  expect(writeAttributes({ name: 'n1', clientURLs: [] })).toBe('{"name":"n1"}');
  expect(writeAttributes(learner)).toBe('{}');
  expect(writePromotion(7n)).toBe('{"id":7,"peerURLs":null,"isPromote":true}');
});

test('what is written is read back', () => {
  const text = fc.string({ unit: 'grapheme' });
  const member = fc.record<Member>({
    id: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    peerURLs: fc.array(text),
    isLearner: fc.boolean(),
    name: text,
    clientURLs: fc.array(text),
  });
  fc.assert(
    fc.property(member, (each) => {
      expect(parseMember(writeMember(each), 'x')).toEqual(each);
      const raft = { peerURLs: each.peerURLs, isLearner: each.isLearner };
      expect(parseRaftAttributes(writeRaftAttributes(each), 'x')).toEqual(raft);
      const attributes = { name: each.name, clientURLs: each.clientURLs };
      expect(parseAttributes(writeAttributes(each), 'x')).toEqual(attributes);
      const context = parseConfChangeContext(writeMember(each), 'x');
      expect(context).toEqual({ member: each, isPromote: false });
    }),
  );
  expect(parseConfChangeContext(writePromotion(9n), 'x')).toEqual({
    member: { id: 9n, peerURLs: [], isLearner: false, name: '', clientURLs: [] },
    isPromote: true,
  });
});

test('a member without id, and what a later release may add, is refused', () => {
  expect(() => parseMember('{"peerURLs":[]}', 'x')).toThrow('id must be an id, not 0');
  expect(() => parseMember('{"id":0,"peerURLs":[]}', 'x')).toThrow('id must be an id, not 0');
  expect(() => parseMember('{"id":1,"zone":"eu"}', 'row 1')).toThrow('row 1: JSON: the key "zone"');
  expect(() => parseMember('{"id":1,"isPromote":true}', 'x')).toThrow('isPromote');
  expect(() => parseAttributes('{"name":1}', 'x')).toThrow('name must be a string');
});
