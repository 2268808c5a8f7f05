// A backend and a naive twin of it, driven by the same random operations.

import {
  bytesFromLatin1,
  ERROR_CODES,
  hasCode,
  invariant,
  latin1FromBytes,
  type Random,
} from '../../base/index.ts';
import type { Database, ReadTransaction } from '../../bbolt/index.ts';
import type { SimEnv } from '../../env/sim/index.ts';
import { ByteSlice, revisionKey, SplitRow } from '../../mvcc/index.ts';
import { BUCKET, type BucketId } from '../schema/schema.ts';
import { Backend, type BackendOptions } from './backend.ts';
import type { PinnedRows } from './pinned-rows.ts';

export const TWIN_PATH = '/twin';
const SMALL_BUCKETS = [BUCKET.LEASE, BUCKET.ALARM, BUCKET.MEMBERS] as const;

/** Everything that an index stands for. Never changed once it is in the history. */
interface Content {
  readonly rows: ReadonlyMap<string, string>;
  readonly small: ReadonlyMap<string, string>;
}

/** Rows are named `main.sub`, with `t` behind for a tombstone; small ones `bucket/key`. */
const rowName = (main: number, sub: number, tombstone: boolean): string =>
  `${main}.${sub}${tombstone ? 't' : ''}`;

export async function openTwin(
  env: SimEnv,
  options: Partial<BackendOptions> = {},
): Promise<{ backend: Backend; rows: Map<string, string> }> {
  const rows = new Map<string, string>();
  const visitor = {
    row: (
      bytes: Uint8Array,
      keyOffset: number,
      keyLength: number,
      valueOffset: number,
      valueLength: number,
    ) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset + keyOffset, keyLength);
      const name = rowName(
        Number(view.getBigUint64(0)),
        Number(view.getBigUint64(9)),
        keyLength > 17,
      );
      rows.set(name, latin1FromBytes(bytes, valueOffset, valueOffset + valueLength));
    },
  };
  const onFailure = (error: unknown) => {
    throw error;
  };
  const settings = { batchIntervalMs: 5, batchChanges: 20, onFailure, ...options };
  const backend = await Backend.open(env, TWIN_PATH, settings, visitor, () => {});
  return { backend, rows };
}

export class BackendTwin {
  readonly backend: Backend;
  readonly #random: Random;
  #rows: Map<string, string>;
  #small: Map<string, string>;
  /** Content by index, for what a crash leaves. */
  readonly history = new Map<number, Content>();
  /** Rows that compaction has given up, and the index at which it did. */
  readonly removed = new Map<string, number>();
  /** The newest index that a finished commit has told. */
  durable: number;
  #main: number;
  /** Whether the file is exchanged among the steps. */
  readonly #exchanges: boolean;
  /** Exchanges that were made. */
  exchanges = 0;
  readonly #pins: { readonly pin: PinnedRows; readonly rows: ReadonlyMap<string, string> }[] = [];

  constructor(
    backend: Backend,
    random: Random,
    found: Content = { rows: new Map(), small: new Map() },
    options: { readonly exchanges?: boolean } = {},
  ) {
    this.backend = backend;
    this.#random = random;
    this.#exchanges = options.exchanges === true;
    if (this.#exchanges && random.below(2) === 0) void backend.prepareExchange(`${TWIN_PATH}.new`);
    this.#rows = new Map(found.rows);
    this.#small = new Map(found.small);
    this.durable = backend.durable.index;
    this.#main = Math.max(1, ...[...this.#rows.keys()].map((name) => Number.parseInt(name, 10)));
    this.#note();
  }

  #note(): void {
    const content = { rows: new Map(this.#rows), small: new Map(this.#small) };
    this.history.set(this.backend.appliedIndex, content);
  }

  /** One operation, or a few that belong together. */
  async step(pause: (ms: number) => Promise<void>): Promise<void> {
    const random = this.#random;
    const kind = random.below(this.#exchanges ? 23 : 20);
    if (kind < 11) this.applyEntry();
    else if (kind < 13) await pause(random.below(12));
    else if (kind === 13) void this.#commit();
    else if (kind === 14) await this.#commit();
    else if (kind === 15) this.#pins.push({ pin: this.backend.pin(), rows: new Map(this.#rows) });
    else if (kind === 16) this.#releaseOne();
    else if (kind === 17) this.#removeSome();
    else if (kind < 20) this.check();
    else await this.exchangeFile(pause, kind === 20);
  }

  /** One file takes the place of the other, beside the steps that follow or before them. */
  async exchangeFile(pause: (ms: number) => Promise<void>, isAwaited: boolean): Promise<void> {
    const { backend } = this;
    const fill = async (commit: ReadTransaction, target: Database): Promise<void> => {
      await pause(this.#random.below(15));
      await backend.database.compactInto(target, { commit });
      await pause(this.#random.below(15));
    };
    const done = backend.exchange({ path: `${TWIN_PATH}.new`, fill }).then(
      () => {
        this.exchanges++;
      },
      async (error: unknown) => {
        // One is under way, too many old files are read, or the backend is being closed.
        this.#releaseOne();
        invariant(
          hasCode(error, ERROR_CODES.LIMIT_EXCEEDED) || hasCode(error, ERROR_CODES.CLOSED),
          'an exchange fails',
        );
        this.#releaseOne();
        await pause(1);
      },
    );
    if (isAwaited) await done;
  }

  applyEntry(): void {
    const random = this.#random;
    const { backend } = this;
    backend.beginEntry();
    const index = backend.appliedIndex + 1;
    const rows = random.below(3);
    if (rows > 0) this.#main++;
    for (let sub = 0; sub < rows; sub++) {
      const tombstone = random.below(5) === 0;
      const inPieces = !tombstone && random.below(4) === 0;
      const large = inPieces && random.below(8) === 0 ? 20_000 : 0;
      const value = `${index}.${'v'.repeat(large + random.below(60))}`;
      const bytes = bytesFromLatin1(`#${value}#`);
      if (inPieces) {
        const cut = 1 + random.below(value.length + 1);
        const row = new SplitRow([bytes.subarray(1, cut), bytes.subarray(cut, bytes.length - 1)]);
        backend.appendSplitRow(this.#main, sub, row);
      } else backend.appendRow(this.#main, sub, tombstone, bytes, 1, value.length);
      this.#rows.set(rowName(this.#main, sub, tombstone), value);
    }
    if (random.below(3) === 0) this.#setSmall(`${index}`);
    backend.endEntry(index, 1);
    this.#note();
  }

  #setSmall(value: string): void {
    const bucket = SMALL_BUCKETS[this.#random.below(SMALL_BUCKETS.length)]!;
    const key = `k${this.#random.below(6)}`;
    if (this.#random.below(3) === 0) {
      this.backend.set(bucket, key, undefined);
      this.#small.delete(`${bucket}/${key}`);
    } else {
      this.backend.set(bucket, key, bytesFromLatin1(value));
      this.#small.set(`${bucket}/${key}`, value);
    }
  }

  async #commit(): Promise<void> {
    const { appliedIndex } = this.backend;
    const { index } = await this.backend.commit();
    invariant(index >= appliedIndex, 'a commit covers what was applied before it');
    this.durable = Math.max(this.durable, index);
  }

  /** As the compactor does: only rows that are in the file. */
  #removeSome(): void {
    const onDisk = this.history.get(this.backend.durable.index)?.rows ?? new Map();
    const names = [...onDisk.keys()].filter((name) => this.#rows.has(name)).slice(0, 4);
    for (const name of names) {
      const [main, sub] = [Number.parseInt(name, 10), Number.parseInt(name.split('.')[1]!, 10)];
      this.backend.removeRow(revisionKey(main, sub, name.endsWith('t')));
      this.#rows.delete(name);
      this.removed.set(name, this.backend.appliedIndex);
    }
    this.#note();
  }

  #releaseOne(): void {
    const [held] = this.#pins.splice(this.#random.below(this.#pins.length + 1), 1);
    if (held === undefined) return;
    for (const [name, value] of held.rows)
      invariant(holds(held.pin, name, value), `pinned ${name}`);
    held.pin.release();
  }

  releaseAll(): void {
    while (this.#pins.length > 0) this.#releaseOne();
  }

  /** Throws if the backend and the twin differ. */
  check(): void {
    const { backend } = this;
    for (const [name, value] of this.#rows) invariant(holds(backend, name, value), `row ${name}`);
    invariant(!backend.findRow(this.#main + 1, 0, slice), 'no row beyond the newest');
    const from = this.#random.below(this.#main + 2);
    const cursor = backend.openRows(from, 0);
    const found: string[] = [];
    while (cursor.next()) found.push(rowName(cursor.main, cursor.sub, cursor.tombstone));
    cursor.close();
    const wanted = [...this.#rows.keys()].filter((name) => Number.parseInt(name, 10) >= from);
    const kept = found.filter((name) => !this.removed.has(name));
    invariant(kept.join() === wanted.join(), `rows from ${from}: ${kept} instead of ${wanted}`);
    invariant(smallOf(backend).join() === namesOf(this.#small).join(), 'the small buckets');
    for (const bucket of SMALL_BUCKETS) {
      const value = backend.get(bucket, 'k1');
      const text = value === undefined ? undefined : latin1FromBytes(value);
      invariant(text === this.#small.get(`${bucket}/k1`), `get ${bucket}/k1`);
    }
  }

  /** The content that an index stands for, as it must be found in the file. */
  contentAt(index: number): Content {
    const content = this.history.get(index);
    if (content === undefined) throw new Error(`no entry ends at index ${index}`);
    return content;
  }

  /** What is wrong with a file that was opened again. */
  differences(found: Backend, rows: ReadonlyMap<string, string>): string[] {
    const wrong: string[] = [];
    const index = found.appliedIndex;
    if (index < this.durable) wrong.push(`index ${index}, durable was ${this.durable}`);
    const content = this.contentAt(index);
    for (const [name, value] of content.rows) {
      // Its removal may have come later than the index, and with it or not.
      if (rows.get(name) !== value && !this.removed.has(name)) wrong.push(`row ${name}`);
    }
    for (const name of rows.keys()) {
      if (!content.rows.has(name) && !this.removed.has(name)) wrong.push(`row ${name} beyond`);
    }
    const [is, should] = [smallOf(found).join(), namesOf(content.small).join()];
    if (is !== should) wrong.push(`small buckets hold ${is} instead of ${should}`);
    return wrong;
  }
}

function namesOf(small: ReadonlyMap<string, string>): string[] {
  return [...small].map(([name, value]) => `${name}=${value}`).sort();
}

function smallOf(backend: Backend): string[] {
  const all: string[] = [];
  for (const bucket of SMALL_BUCKETS as readonly BucketId[]) {
    for (const [key, value] of backend.entries(bucket)) {
      all.push(`${bucket}/${key}=${latin1FromBytes(value)}`);
    }
  }
  return all.sort();
}

const slice = new ByteSlice();

/** Whether the row is found. Nobody looks up a tombstone: the index says all there is to say. */
function holds(rows: Pick<Backend, 'findRow'>, name: string, value: string): boolean {
  if (name.endsWith('t')) return true;
  const [main, sub] = [Number.parseInt(name, 10), Number.parseInt(name.split('.')[1]!, 10)];
  if (!rows.findRow(main, sub, slice)) return false;
  return latin1FromBytes(slice.buffer, slice.offset, slice.offset + slice.length) === value;
}
