// What differs between two members, or two moments, is replaced by a name, so that the rest can be
// compared byte by byte.

import type { RunResult } from '../helpers/run.ts';

/** What is known of the members that a program talked to, by the name it gets in the output. */
export interface Known {
  readonly ids: ReadonlyArray<readonly [name: string, id: bigint]>;
  readonly ports: ReadonlyArray<readonly [name: string, port: number]>;
}

/** `stdout` and `stderr` as latin1: the output may hold any bytes. */
export function normalForm({ code, stdout, stderr }: RunResult, known: Known): RunResult {
  return {
    code,
    stdout: withNames(stdout, known),
    stderr: withNames(withoutNoise(stderr), known),
  };
}

/**
 * Without etcdctl's log lines, what it asks of a terminal that is none, its bar, and how to use the
 * command, which is ours in our words.
 */
function withoutNoise(text: string): string {
  const isNoise = (line: string): boolean =>
    /^\{"level":"(warn|error)"|^\{.*"logger":"client"|^stty: |^\d+ \/ \d+ \[.* p\/s/.test(line);
  const lines = text.split('\n').filter((line) => !isNoise(line));
  return lines
    .map(withoutPlace)
    .join('\n')
    .replaceAll('tetcdctl', 'etcdctl')
    .replace(/\nUsage:[\s\S]*$/, '\n');
}

/** A line of the log, without the time and where in the program it is from. */
function withoutPlace(line: string): string {
  if (!line.startsWith('{"level":')) return line;
  const { ts: _ts, caller: _caller, stacktrace: _stacktrace, ...rest } = JSON.parse(line);
  return JSON.stringify(rest);
}

/** The line of a table, as latin1. */
const RULE = Buffer.from('─').toString('latin1');
/** The length and first tag of a header in protobuf; the length depends on the ids. */
const HEADER = new RegExp(`[\\x00-\\x7f]${String.fromCharCode(8)}<cluster>`, 'g');

function varint(value: bigint): string {
  let rest = value;
  let text = '';
  for (; rest > 0x7fn; rest >>= 7n) text += String.fromCharCode(Number(rest & 0x7fn) | 0x80);
  return text + String.fromCharCode(Number(rest));
}

function withNames(text: string, known: Known): string {
  let result = text;
  for (const [name, id] of known.ids) {
    const hex = id.toString(16);
    result = result
      .replaceAll(hex.padStart(16, '0'), `<${name}>`)
      .replaceAll(hex, `<${name}>`)
      .replaceAll(id.toString(), `<${name}>`)
      .replaceAll(varint(id), `<${name}>`);
  }
  // The widths of a table's columns follow from what is in them.
  if (result.includes(RULE)) {
    result = result
      .replaceAll(RULE, '')
      .replace(/ +/g, ' ')
      .replace(/ \d+ [kM]B | \d+% | \d{5,} /g, ' <n> ');
  }
  // Only behind an address: a size may be the same number.
  for (const [name, port] of known.ports) {
    result = result.replaceAll(new RegExp(`(?<=127\\.0\\.0\\.1:)${port}`, 'g'), `<${name}>`);
  }
  return (
    result
      .replace(HEADER, '<header>')
      // Up to 3.7.1 the status of a member has the term twice in this form.
      .replace(/(?<="RaftIndex" : .*\n)"RaftTerm" : \d+\n/g, '')
      .replace(/memory used : -?[\d.]+ MB/, 'memory used : <n> MB')
      // A size, which depends on the ids.
      .replace(/larger than max \(\d+ vs/, 'larger than max (<n> vs')
      // Times, sizes and raft's counters.
      .replace(/\b\d+(\.\d+)?(ms|\xc2?\xb5s)/g, '<took>')
      .replace(/"(raftIndex|raftAppliedIndex|dbSize|dbSizeInUse)":\d+/g, '"$1":<n>')
      .replace(/"(RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse)" : \d+/g, '"$1" : <n>')
      .replace(/, \d+ [kM]B, \d+ [kM]B, \d+%, /g, ', <sizes>, ')
      .replace(/, (\d+), \d+, \d+, (.*), , false\n/g, ', $1, <indexes>, $2, , false\n')
      .replace(/remaining\(\d+s\)/, 'remaining(<n>s)')
      .replace(/"ttl":\d+,/, '"ttl":<n>,')
      .replace(/"TTL" : \d+/, '"TTL" : <n>')
      .replace(/"hash":\d+/g, '"hash":<n>')
      .replace(/"Hash" : \d+/g, '"Hash" : <n>')
      .replace(/^(127.0.0.1:<port>), \d+, (\d+)$/m, '$1, <hash>, $2')
  );
}
