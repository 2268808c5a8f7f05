// Drives two servers with the same sequence and lists every difference.

import { seededRandom } from '../../src/base/index.ts';
import type { Value } from '../helpers/api.ts';
import { type Difference, differences } from './differences.ts';
import { edgeCases } from './edge-cases.ts';
import { followUp, type Operation, type Progress, randomOperation } from './operations.ts';
import { Side } from './side.ts';

export interface ComparisonOptions {
  readonly seed: number;
  /** Random operations, after the edge cases. */
  readonly operations: number;
  readonly watchesFromCompacted: boolean;
  /** Stop early after this many differences that `tolerates` refuses. */
  readonly unknownMax: number;
  readonly tolerates: (difference: Difference) => boolean;
}

const SETTLE_EVERY = 20;
const TTL_SLACK_S = 2;

/** Seconds left of a lease depend on when the request arrived. */
function sameTime(field: string, left: Value, right: Value): boolean {
  return field.endsWith('.TTL') && Math.abs(Number(left) - Number(right)) <= TTL_SLACK_S;
}

function rpcOf(operation: Operation): string {
  switch (operation.kind) {
    case 'call':
      return operation.request['keys_only'] ? `${operation.rpc} keys_only` : operation.rpc;
    case 'raw':
      return operation.rpc;
    case 'hash':
      return 'Maintenance/HashKV';
    case 'keepAlive':
      return 'Lease/LeaseKeepAlive';
    case 'watch':
      return 'Watch/Watch';
  }
}

/** What must not overlap with events still on their way: it would change them. */
function needsQuiet(operation: Operation): boolean {
  if (operation.kind === 'watch') return true;
  return operation.kind === 'call' && operation.rpc === 'KV/Compact';
}

export class Comparison {
  readonly found: Difference[] = [];
  readonly #left: Side;
  readonly #right: Side;
  readonly #options: ComparisonOptions;
  #unknown = 0;

  constructor(leftEndpoint: string, rightEndpoint: string, options: ComparisonOptions) {
    this.#left = new Side('left', leftEndpoint);
    this.#right = new Side('right', rightEndpoint);
    this.#options = options;
  }

  /** Returns the number of operations performed. */
  async run(): Promise<number> {
    const random = seededRandom(this.#options.seed);
    const { watchesFromCompacted } = this.#options;
    const progress: Progress = {
      ...{ revision: 1, compacted: 0, watches: 0, compactionFinished: true },
      watchesFromCompacted,
    };
    const edges = edgeCases();
    let count = 0;
    for (; count < edges.length + this.#options.operations; count++) {
      if (this.#unknown >= this.#options.unknownMax) break;
      const operation = edges[count] ?? randomOperation(random, progress);
      if (needsQuiet(operation) || count % SETTLE_EVERY === 0)
        await this.#settle(`before #${count}`);
      await this.#one(operation, `#${count} ${describe(operation)}`);
      progress.revision = this.#right.revision;
      if (this.#right.compacted !== progress.compacted && operation.kind === 'call') {
        progress.compacted = this.#right.compacted;
        progress.compactionFinished = operation.request['physical'] === true;
      }
      if (operation.kind === 'watch') progress.watches++;
      const next = followUp(operation);
      if (next !== undefined) await this.#one(next, `after #${count} ${describe(operation)}`);
    }
    await this.#settle('at the end');
    await this.#one({ kind: 'hash', revision: String(progress.revision) }, 'final hash');
    return count;
  }

  close(): void {
    this.#left.close();
    this.#right.close();
  }

  async #one(operation: Operation, where: string): Promise<void> {
    const [left, right] = await Promise.all([
      this.#left.perform(operation),
      this.#right.perform(operation),
    ]);
    this.#note(rpcOf(operation), left, right, where);
  }

  async #settle(where: string): Promise<void> {
    const settled = await Promise.all([this.#left.settle(), this.#right.settle()]);
    const text = (index: 0 | 1): string =>
      settled[index] ? 'settled' : (index === 0 ? this.#left : this.#right).describeWatches();
    if (settled.includes(false)) this.#unknown = this.#options.unknownMax;
    this.#note('Watch/Watch', { events: text(0) }, { events: text(1) }, where);
    const [left, right] = [this.#left.takeWatchLog(), this.#right.takeWatchLog()] as const;
    for (const id of new Set([...Object.keys(left ?? {}), ...Object.keys(right ?? {})])) {
      const of = (log: Value): Value => (log as Record<string, Value>)[id] ?? [];
      this.#note('Watch/Watch', { log: of(left) }, { log: of(right) }, `${where}, watch ${id}`);
    }
  }

  #note(rpc: string, left: Value, right: Value, where: string): void {
    for (const leaf of differences(left, right, sameTime)) {
      const difference = { rpc, where, ...leaf };
      this.found.push(difference);
      if (!this.#options.tolerates(difference)) this.#unknown++;
    }
  }
}

const DESCRIPTION_CHARS_MAX = 600;

function describe(operation: Operation): string {
  const text = JSON.stringify(operation);
  return text.length <= DESCRIPTION_CHARS_MAX ? text : `${text.slice(0, DESCRIPTION_CHARS_MAX)}…`;
}
