// A tiny command language over a store in memory and its watchers, for scenarios that read as prose.
// Keys and values are plain words. Commands and what they print:
//
//   grant <lease>
//   put <key> <value> [lease=n] [prev] [keep-value] [keep-lease]     the response
//   del <key> [<end>] [prev]
//   get <key> [<end>] [rev=n] [limit=n] [order=ascend] [target=mod] [keys-only] [count-only]
//                     [min-mod=n] [max-mod=n] [min-create=n] [max-create=n]
//   txn, with input lines `if <target> <key> <= or = etc.> <wanted>`, `then <command>`, `else <command>`
//   compact <rev>             what was dropped
//   index                     the key index
//   watch <id> <key> [<end>] [from=n] [prev] [no-put] [no-delete]
//   cancel <id>, progress, full, resume
//   catch-up [budget=n]       one slice, or without budget until all is done
//
// An <end> of `*` means every key from the first on. After a command come the watch responses that
// it caused, one line each.

import { bytesFromLatin1, latin1FromBytes } from '../../base/index.ts';
import { EtcdError, etcdserverpb, mvccpb, PutInPlace } from '../../protocol/index.ts';
import type { Case } from '../../raft/datadriven.fixture.ts';
import type { ByteSlice } from '../types.ts';
import type { EventBatch } from '../watch/event-batch.ts';
import { WatchHub } from '../watch/watch-hub.ts';
import { type Watcher, type WatchSink, WatchStream } from '../watch/watcher.ts';
import { DeleteResult, DeleteRun } from './delete-range.ts';
import { MemoryStore } from './memory-store.fixture.ts';
import { evaluatePut, PutResult } from './put.ts';
import { evaluateRange, RangeRun } from './range.ts';
import { RangeResult } from './range-result.ts';
import { type TxnResult, TxnRun } from './txn.ts';

const { SortOrder, SortTarget, CompareResult, CompareTarget } = etcdserverpb;

/** Words of a command: positions and named values. */
interface Words {
  readonly at: readonly string[];
  text(name: string): string | undefined;
  number(name: string): number;
  has(name: string): boolean;
}

const FLAGS = new Set([
  'prev',
  'keep-value',
  'keep-lease',
  'keys-only',
  'count-only',
  'no-put',
  'no-delete',
]);

function wordsOf(args: Case['args']): Words {
  const named = new Map(args.filter((a) => a.values.length > 0).map((a) => [a.key, a.values[0]!]));
  const flags = new Set(args.filter((a) => FLAGS.has(a.key)).map((a) => a.key));
  return {
    at: args.filter((a) => a.values.length === 0 && !FLAGS.has(a.key)).map((a) => a.key),
    text: (name) => named.get(name),
    number: (name) => Number(named.get(name) ?? 0),
    has: (name) => flags.has(name),
  };
}

function endOf(word: string | undefined): Uint8Array {
  return bytesFromLatin1(word === undefined ? '' : word === '*' ? '\0' : word);
}

function rangeRequest(words: Words): etcdserverpb.RangeRequest {
  const order = (words.text('order') ?? 'none').toUpperCase() as keyof typeof SortOrder;
  const target = (words.text('target') ?? 'key').toUpperCase() as keyof typeof SortTarget;
  return etcdserverpb.RangeRequestCodec.create({
    key: bytesFromLatin1(words.at[0]!),
    rangeEnd: endOf(words.at[1]),
    revision: words.number('rev'),
    limit: words.number('limit'),
    sortOrder: SortOrder[order],
    sortTarget: SortTarget[target],
    keysOnly: words.has('keys-only'),
    countOnly: words.has('count-only'),
    minModRevision: words.number('min-mod'),
    maxModRevision: words.number('max-mod'),
    minCreateRevision: words.number('min-create'),
    maxCreateRevision: words.number('max-create'),
  });
}

function putRequest(words: Words): etcdserverpb.PutRequest {
  return etcdserverpb.PutRequestCodec.create({
    key: bytesFromLatin1(words.at[0]!),
    value: bytesFromLatin1(words.at[1] ?? ''),
    lease: BigInt(words.text('lease') ?? 0),
    prevKv: words.has('prev'),
    ignoreValue: words.has('keep-value'),
    ignoreLease: words.has('keep-lease'),
  });
}

function deleteRequest(words: Words): etcdserverpb.DeleteRangeRequest {
  return etcdserverpb.DeleteRangeRequestCodec.create({
    key: bytesFromLatin1(words.at[0]!),
    rangeEnd: endOf(words.at[1]),
    prevKv: words.has('prev'),
  });
}

function splitLine(line: string): { command: string; words: Words } {
  const [command = '', ...rest] = line.split(' ');
  const args = rest.map((word) => {
    const [key = '', value] = word.split('=');
    return { key, values: value === undefined ? [] : [value] };
  });
  return { command, words: wordsOf(args) };
}

function requestOp(line: string): etcdserverpb.RequestOp {
  const { command, words } = splitLine(line);
  const request =
    command === 'get'
      ? ({ case: 'requestRange', value: rangeRequest(words) } as const)
      : command === 'put'
        ? ({ case: 'requestPut', value: putRequest(words) } as const)
        : ({ case: 'requestDeleteRange', value: deleteRequest(words) } as const);
  return etcdserverpb.RequestOpCodec.create({ request });
}

/** `<target> <key> <sign> <wanted>` */
function compareOf(line: string): etcdserverpb.Compare {
  const [target = '', key = '', sign = '', wanted = ''] = line.split(' ');
  const signs = { '=': 'EQUAL', '!=': 'NOT_EQUAL', '<': 'LESS', '>': 'GREATER' } as const;
  const unions = {
    version: { case: 'version', value: Number(wanted) },
    create: { case: 'createRevision', value: Number(wanted) },
    mod: { case: 'modRevision', value: Number(wanted) },
    value: { case: 'value', value: bytesFromLatin1(wanted) },
    lease: { case: 'lease', value: BigInt(target === 'lease' ? wanted : 0) },
  } as const;
  return etcdserverpb.CompareCodec.create({
    key: bytesFromLatin1(key),
    result: CompareResult[signs[sign as keyof typeof signs]],
    target: CompareTarget[target.toUpperCase() as keyof typeof CompareTarget],
    targetUnion: unions[target as keyof typeof unions],
  });
}

function txnRequest(input: string): etcdserverpb.TxnRequest {
  const request = etcdserverpb.TxnRequestCodec.create({});
  for (const line of input.split('\n')) {
    const [head = '', ...rest] = line.trim().split(' ');
    if (head === 'if') request.compare.push(compareOf(rest.join(' ')));
    if (head === 'then') request.success.push(requestOp(rest.join(' ')));
    if (head === 'else') request.failure.push(requestOp(rest.join(' ')));
  }
  return request;
}

function pairText({ key, value, createRevision, modRevision, version, lease }: mvccpb.KeyValue) {
  const text = value.length === 0 ? '' : `=${latin1FromBytes(value)}`;
  const leased = lease === 0n ? '' : ` lease ${lease}`;
  return `${latin1FromBytes(key)}${text} (${createRevision}, ${modRevision}, ${version})${leased}`;
}

function sliceText({ buffer, offset, length }: ByteSlice): string {
  return pairText(mvccpb.KeyValueCodec.decode(buffer, offset, offset + length));
}

function rangeText(result: RangeResult): string {
  const more = result.more ? ' and more' : '';
  const pairs = result.buffers.map(
    (buffer, i) =>
      `\n  ${sliceText({ buffer, offset: result.offsets[i]!, length: result.lengths[i]! })}`,
  );
  return `rev ${result.revision}: ${result.size} of ${result.count}${more}${pairs.join('')}`;
}

function putText({ revision, hasPrevious, previous }: PutResult): string {
  return `rev ${revision}: put${hasPrevious ? `, was ${sliceText(previous)}` : ''}`;
}

function deleteText({ revision, deleted, previous }: DeleteResult): string {
  const was = previous.size === 0 ? '' : `, ${rangeText(previous).replace(/^.*\n/, 'were\n')}`;
  return `rev ${revision}: deleted ${deleted}${was}`;
}

function txnText(result: TxnResult): string {
  const lines = result.responses.map((op) => {
    if (op.kind === 'range') return rangeText(op.range);
    if (op.kind === 'put') return putText(op.put);
    return op.kind === 'delete' ? deleteText(op.delete) : op.kind;
  });
  const branch = result.succeeded ? 'then' : 'else';
  return [`rev ${result.revision}: ${branch}`, ...lines].join('\n').replaceAll('\n', '\n  ');
}

/** The state of one script. */
export class ScriptWorld implements WatchSink {
  readonly #store = new MemoryStore();
  readonly #hub = new WatchHub(1);
  readonly #stream = new WatchStream(this);
  #full = false;
  #heard: string[] = [];

  offer(watchers: readonly Watcher[], from: number, to: number, batch: EventBatch): number {
    if (this.#full) return 0;
    for (let i = from; i < to; i++) this.#hear(watchers[i]!, batch);
    return to - from;
  }

  #hear(watcher: Watcher, batch: EventBatch): void {
    const bytes = new Uint8Array(batch.byteCount());
    batch.write(bytes, 0);
    const { events } = etcdserverpb.WatchResponseCodec.decode(bytes);
    const lines = events.map(({ type, kv, prevKv }) => {
      const was = prevKv === undefined ? '' : `, was ${pairText(prevKv)}`;
      return `\n    ${type === mvccpb.EventType.PUT ? 'put' : 'delete'} ${pairText(kv!)}${was}`;
    });
    this.#heard.push(`  watch ${watcher.id}, rev ${batch.revision}:${lines.join('')}`);
  }

  compacted(watcher: Watcher, compactedRev: number): void {
    this.#heard.push(`  watch ${watcher.id}: compacted at ${compactedRev}`);
  }

  /** Runs one case. */
  run(c: Case): string {
    this.#heard = [];
    let answer: string;
    try {
      answer = this.#command(c.command, wordsOf(c.args), c.input);
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      answer = `error: ${error.message}`;
    }
    return [answer, ...this.#heard].filter((line) => line !== '').join('\n');
  }

  #command(command: string, words: Words, input: string): string {
    const store = this.#store;
    switch (command) {
      case 'grant':
        return `slot ${store.grant(BigInt(words.at[0]!))}`;
      case 'put': {
        const result = new PutResult();
        this.#write(() =>
          evaluatePut(store.txn, new PutInPlace().accept(putRequest(words)), result),
        );
        return putText(result);
      }
      case 'del': {
        const result = new DeleteResult();
        const run = new DeleteRun();
        this.#write(() => {
          run.start(store.txn, deleteRequest(words), result);
          while (!run.step(1));
        });
        return deleteText(result);
      }
      case 'get': {
        const result = new RangeResult();
        evaluateRange(new RangeRun(), store, rangeRequest(words), result);
        return rangeText(result);
      }
      case 'txn': {
        const run = new TxnRun();
        this.#write(() => {
          run.start(store.txn, txnRequest(input), false);
          while (!run.step(1));
        });
        return txnText(run.result);
      }
      case 'compact':
        return this.#compact(Number(words.at[0]));
      case 'index':
        return store.index.describe();
      default:
        return this.#watchCommand(command, words);
    }
  }

  #watchCommand(command: string, words: Words): string {
    const hub = this.#hub;
    switch (command) {
      case 'watch': {
        const answer = hub.watch(this.#stream, BigInt(words.at[0]!), {
          key: words.at[1]!,
          rangeEnd: latin1FromBytes(endOf(words.at[2])),
          startRev: words.number('from'),
          noPut: words.has('no-put'),
          noDelete: words.has('no-delete'),
          withPrevious: words.has('prev'),
        });
        return answer.ok ? `watch ${answer.watcher.id}` : `refused: ${answer.reason}`;
      }
      case 'cancel':
        return hub.cancel(this.#stream, BigInt(words.at[0]!)) ? 'canceled' : 'no such watch';
      case 'progress':
        return `progress ${hub.progressRev(this.#stream.watchers.values()) ?? 'unknown'}`;
      case 'catch-up': {
        const budget = words.number('budget');
        let done = hub.catchUp(this.#store, this.#store, budget || 1000);
        while (budget === 0 && !done) done = hub.catchUp(this.#store, this.#store, 1000);
        return `${done ? 'done' : 'more to do'}, ${hub.unsyncedCount} behind`;
      }
      case 'full':
        this.#full = true;
        return 'the stream takes no more';
      case 'resume':
        this.#full = false;
        hub.resume(this.#stream);
        return `${hub.unsyncedCount} behind`;
      default:
        throw new Error(`no command ${command}`);
    }
  }

  /** An error leaves the transaction without changes. */
  #write(body: () => void): void {
    const store = this.#store;
    store.txn.begin(store.currentRev, store.compactedRev);
    try {
      body();
    } finally {
      const rev = store.txn.end();
      const changed = rev > store.currentRev;
      store.currentRev = rev;
      if (changed) this.#hub.notify(store, rev, store.txn.changes);
    }
  }

  #compact(rev: number): string {
    const rows = () => this.#store.data.map((row) => `${row.main}.${row.sub}`);
    const before = rows();
    this.#store.compact(rev);
    const after = new Set(rows());
    return `dropped ${before.filter((row) => !after.has(row)).join(' ') || 'nothing'}`;
  }
}
