// A comparison of a transaction as a line of text: `mod("key1") > "0"`.

import { goQuote, takeGoString } from '../../../base/index.ts';
import { etcdserverpb } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { clampedNumber, parseGoInt } from '../../shell/go-numbers.ts';
import { bytesOfWord, textOfWord, type Word } from '../../shell/words.ts';

const { EQUAL, NOT_EQUAL, GREATER, LESS } = etcdserverpb.CompareResult;

const RESULTS: ReadonlyMap<Word, etcdserverpb.CompareResult> = new Map([
  ['=', EQUAL],
  ['!=', NOT_EQUAL],
  ['>', GREATER],
  ['<', LESS],
]);

type Target = Pick<etcdserverpb.Compare, 'target' | 'targetUnion'>;

/** INVALID_INPUT quotes the line and the part of it that was parsed. */
export function parseCompare(line: Word): etcdserverpb.Compare {
  const text = textOfWord(line);
  const open = line.indexOf('(');
  if (open < 0) throw malformed(text);
  const targetName = line.slice(0, open);
  const { key, operator, value } = parseOperands(line.slice(open + 1), targetName, text);
  const result = RESULTS.get(operator);
  if (result === undefined) {
    throw malformed(`${text} (unknown operator ${textOfWord(operator)})`);
  }
  return etcdserverpb.CompareCodec.create({
    key: bytesOfWord(key),
    result,
    ...targetOf(targetName, value, text),
  });
}

interface Operands {
  readonly key: Word;
  readonly operator: Word;
  readonly value: Word;
}

function parseOperands(text: Word, targetName: Word, line: string): Operands {
  const key = takeGoString(text.trimStart());
  const middle = key === undefined ? null : /^\)\s+(\S+)\s*/.exec(key.rest);
  const value =
    key === undefined || middle === null
      ? undefined
      : takeGoString(key.rest.slice(middle[0].length));
  if (key !== undefined && middle !== null && value !== undefined) {
    return { key: key.word, operator: middle[1]!, value: value.word };
  }
  const shownKey = goQuote(bytesOfWord(key?.word ?? ''));
  const got = `${textOfWord(targetName)}(${shownKey}) ${textOfWord(middle?.[1] ?? '')} ""`;
  throw malformed(`${line}; got ${got}`);
}

function malformed(text: string): ExitError {
  return new ExitError(EXIT.INVALID_INPUT, `malformed comparison: ${text}`);
}

function targetOf(name: Word, value: Word, line: string): Target {
  const { VERSION, CREATE, MOD, VALUE, LEASE } = etcdserverpb.CompareTarget;
  switch (name) {
    case 'ver':
    case 'version':
      return { target: VERSION, targetUnion: { case: 'version', value: count(value, line) } };
    case 'c':
    case 'create':
      return { target: CREATE, targetUnion: { case: 'createRevision', value: count(value, line) } };
    case 'm':
    case 'mod':
      return { target: MOD, targetUnion: { case: 'modRevision', value: count(value, line) } };
    case 'val':
    case 'value':
      return { target: VALUE, targetUnion: { case: 'value', value: bytesOfWord(value) } };
    case 'lease':
      return { target: LEASE, targetUnion: { case: 'lease', value: integer(value, 16, line) } };
    default:
      throw malformed(`${line} (unknown target ${textOfWord(name)})`);
  }
}

function integer(value: Word, base: 10 | 16, line: string): bigint {
  const parsed = parseGoInt(value, base);
  if (parsed.reason === undefined) return parsed.value;
  throw new ExitError(EXIT.INVALID_INPUT, `invalid txn compare request: ${line}`);
}

function count(value: Word, line: string): number {
  return clampedNumber(integer(value, 10, line));
}
