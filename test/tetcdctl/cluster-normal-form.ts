// Two clusters list their members in different orders, since ids differ, and have seen other terms.
// Lists are put into the order of the members' names, when names have taken the place of ids.

import { etcdserverpb } from '../../src/protocol/index.ts';
import type { RunResult } from '../helpers/run.ts';

type Members = ReadonlyArray<{ readonly id: bigint }>;

/** Members' answers in protobuf: the command, and how to read it. */
const CODECS: ReadonlyArray<readonly [string, { decode(bytes: Uint8Array): object }]> = [
  ['member list', etcdserverpb.MemberListResponseCodec],
  ['member add', etcdserverpb.MemberAddResponseCodec],
  ['member remove', etcdserverpb.MemberRemoveResponseCodec],
  ['member update', etcdserverpb.MemberUpdateResponseCodec],
  ['member promote', etcdserverpb.MemberPromoteResponseCodec],
  ['move-leader', etcdserverpb.MoveLeaderResponseCodec],
];

/** What was printed as protobuf, as text with hexadecimal ids; unknown fields would be missing. */
export function readableProtobuf(args: readonly string[], result: RunResult): RunResult {
  if (!args.includes('protobuf') || result.code !== 0) return result;
  const line = args.join(' ');
  const codec = CODECS.find(([command]) => line.includes(command))?.[1];
  if (codec === undefined) return result;
  const message = codec.decode(Buffer.from(result.stdout, 'latin1')) as { members?: Members };
  const text = JSON.stringify(message, (_name, value: unknown) =>
    typeof value === 'bigint' ? value.toString(16) : value,
  );
  return { ...result, stdout: `${text}\n` };
}

/** Text in which names stand for ids and ports already. */
export function inOrder(text: string): string {
  return (
    sortLines(sortBlocks(sortObjects(sortUrls(text))))
      // An id with fewer digits is moved to the right.
      .replace(/ +(?=<(?:m\d|cluster))/g, ' ')
      // The storage version follows the cluster's some seconds after the start.
      .replaceAll('3.5.0', '3.7.0')
      .replace(/\b\d\.\d+s\b/g, '<took>')
      // In a table: leads, learns, term and indexes.
      .replace(
        /((?:true|false) \S+ (?:true|false) \S+) \d+ (\S+) \d+ \S+ \d+ /g,
        '$1 <term> $2 <indexes> ',
      )
      .replace(/"(raft_term|raftTerm)":\d+/g, '"$1":<term>')
      .replace(/"RaftTerm" : \d+/g, '"RaftTerm" : <term>')
      .replace(/(, (?:true|false), (?:true|false), )\d+, <indexes>/g, '$1<term>, <indexes>')
  );
}

/** `"m1=http://…,m2=http://…"`. */
function sortUrls(text: string): string {
  return text.replace(/(?<=INITIAL_CLUSTER=").*(?="$)/m, (list) =>
    list.split(',').sort().join(','),
  );
}

const BETWEEN = /(?<=\}),(?=\{"(?:ID|id|Endpoint|endpoint)":)/;

/** Objects of a list in JSON. */
function sortObjects(text: string): string {
  return text.replace(/\[(\{"(?:ID|id|Endpoint|endpoint)":.*\})\]/g, (_all, list: string) => {
    return `[${list.split(BETWEEN).sort().join(',')}]`;
  });
}

/** Blocks of fields, after the header if there is one for all. */
function sortBlocks(text: string): string {
  const start = text.search(/^"(?:ID|ClusterID|Endpoint)" : /m);
  if (start < 0 || !text.includes('\n\n')) return text;
  const at = text.indexOf('"ID" : ') >= 0 ? text.indexOf('"ID" : ') : start;
  const blocks = text
    .slice(at)
    .split('\n\n')
    .filter((block) => block !== '');
  return text.slice(0, at) + blocks.sort().join('\n\n');
}

/** Lines that begin with a member or an endpoint; the widths of a table's columns are gone. */
function sortLines(text: string): string {
  const lines = text.split('\n');
  const isSorted = (line: string): boolean =>
    /^(?:[^\w<]* |.* etcd member\[)?(?:<m\d|(?:http:\/\/)?127\.)/.test(line);
  const sorted = lines.filter(isSorted).sort();
  return lines.map((line) => (isSorted(line) ? sorted.shift()! : line)).join('\n');
}
