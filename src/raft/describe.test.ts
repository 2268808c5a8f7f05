import { describe, expect, test } from 'vitest';
import { bytesFromUtf8, EMPTY_BYTES } from '../base/index.ts';
import { encodeConfChange } from './confchange/index.ts';
import { parseChanges } from './confchange/parse.fixture.ts';
import { parseCases } from './datadriven.fixture.ts';
import {
  describeConfChange,
  describeEntry,
  describeHardState,
  describeMessage,
  describeReady,
  emptyConfState,
  LOCAL_APPEND_THREAD,
  ROLES,
} from './index.ts';
import { message } from './node.fixture.ts';
import { EntryType, MessageType, newEntry } from './raftpb.ts';

describe('entries', () => {
  test('normal ones with their data, as the caller wants it', () => {
    const entry = newEntry(EntryType.EntryNormal, 2, 7, bytesFromUtf8('x'));
    expect(describeEntry(entry)).toBe('2/7 EntryNormal "x"');
    expect(describeEntry(entry, () => '')).toBe('2/7 EntryNormal');
  });

  test('membership changes with what they change', () => {
    const changes = parseChanges('v1 l2 r3 u4');
    const { type, data } = encodeConfChange({ transition: 0, changes, context: EMPTY_BYTES });
    expect(describeEntry(newEntry(type, 1, 1, data))).toBe('1/1 EntryConfChangeV2 v1 l2 r3 u4');
    const context = EMPTY_BYTES;
    const older = encodeConfChange({ id: 1n, type: 1, nodeId: 5n, context });
    expect(describeEntry(newEntry(older.type, 1, 1, older.data))).toBe('1/1 EntryConfChange r5');
  });

  test('what cannot be decoded with the reason', () => {
    const entry = newEntry(EntryType.EntryConfChange, 1, 1, new Uint8Array([0xff]));
    expect(describeEntry(entry)).toContain('raftpb.ConfChange');
  });

  test('types of later releases by number', () => {
    expect(describeEntry(newEntry(9, 1, 1, EMPTY_BYTES))).toBe('1/1 9');
  });
});

test('membership changes for logs', () => {
  const changes = parseChanges('v1 l2');
  expect(describeConfChange({ transition: 2, changes, context: bytesFromUtf8('c') })).toBe(
    'transition:ConfChangeTransitionJointExplicit ' +
      'changes:{type:ConfChangeAddNode node_id:1} ' +
      'changes:{type:ConfChangeAddLearnerNode node_id:2} context:"c"',
  );
});

test('messages nest their responses', () => {
  const entries = [newEntry(0, 1, 1, bytesFromUtf8('a')), newEntry(0, 1, 2, bytesFromUtf8('b'))];
  const metadata = { confState: emptyConfState(), index: 3, term: 1 };
  const ack = message(MessageType.MsgAppResp, { from: 16n, to: 255n, term: 1, reject: true });
  const write = message(MessageType.MsgStorageAppend, {
    from: 16n,
    to: LOCAL_APPEND_THREAD,
    entries,
    commit: 1,
    vote: 16n,
    snapshot: { data: EMPTY_BYTES, metadata },
    responses: [ack],
  });
  expect(describeMessage(write)).toBe(
    [
      '10->AppendThread MsgStorageAppend Term:0 Log:0/0 Commit:1 Vote:16 Entries:[',
      '  1/1 EntryNormal "a"',
      '  1/2 EntryNormal "b"',
      ']',
      '  Snapshot: Index:3 Term:1 ConfState:Voters:[] VotersOutgoing:[] Learners:[] ' +
        'LearnersNext:[] AutoLeave:false Responses:[',
      '  10->ff MsgAppResp Term:1 Log:0/0 Rejected (Hint: 0)',
      ']',
    ].join('\n'),
  );
  expect(describeMessage(message(77, {}))).toBe('None->None 77 Term:0 Log:0/0');
});

test('a Ready says what changed, and that it is empty', () => {
  const nothing = {
    softState: undefined,
    hardState: undefined,
    readStates: [],
    entries: [],
    snapshot: undefined,
    committedEntries: [],
    messages: [],
    mustSync: false,
  };
  expect(describeReady(nothing)).toBe('<empty Ready>');
  const reads = [
    { index: 4, context: bytesFromUtf8('ab') },
    { index: 5, context: EMPTY_BYTES },
  ];
  const softState = { lead: 2n, role: ROLES.FOLLOWER };
  expect(describeReady({ ...nothing, softState, readStates: reads, mustSync: true })).toBe(
    'Ready MustSync=true:\nLead:2 State:StateFollower\nReadStates [{4 [97 98]} {5 []}]\n',
  );
  expect(describeHardState({ term: 2, vote: 0n, commit: 1 })).toBe('Term:2 Commit:1');
});

test('data-driven files: arguments, continued lines, input, output with blank lines', () => {
  const text = [
    '# a comment',
    'first 1 key=value list=(a, b,c) \\',
    'more=(1)',
    'input',
    '----',
    'output',
    '',
    'second',
    '----',
    '----',
    'one',
    '',
    'two',
    '----',
    '----',
    '',
  ].join('\n');
  expect(parseCases(text)).toEqual([
    {
      line: 2,
      command: 'first',
      args: [
        { key: '1', values: [] },
        { key: 'key', values: ['value'] },
        { key: 'list', values: ['a', 'b', 'c'] },
        { key: 'more', values: ['1'] },
      ],
      input: 'input',
      expected: 'output\n',
    },
    { line: 8, command: 'second', args: [], input: '', expected: 'one\n\ntwo\n' },
  ]);
});
