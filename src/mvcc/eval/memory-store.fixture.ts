// A store in memory for tests: rows in an array, leases in two maps, and the index and the writer of
// this folder on top. Every question about it can also be answered naively from `events`.

import { bytesFromLatin1, invariant } from '../../base/index.ts';
import { KeyIndex } from '../index/key-index.ts';
import type { SplitRow } from '../split-row.ts';
import type { ByteSlice, LeaseHooks, RowWriter } from '../types.ts';
import { ByteSlice as Slice } from '../types.ts';
import type { RowCursor, RowSource } from '../watch/catch-up.ts';
import type { ReadView } from './range.ts';
import { WriteTxn } from './write-txn.ts';

interface Row {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
  readonly bytes: Uint8Array;
}

function isBefore(row: Row, main: number, sub: number): boolean {
  return row.main < main || (row.main === main && row.sub < sub);
}

const slice = new Slice();

export class MemoryStore implements ReadView, RowWriter, LeaseHooks, RowSource {
  readonly index = new KeyIndex();
  readonly rows: RowWriter = this;
  currentRev = 1;
  compactedRev = -1;
  data: Row[] = [];
  /** Lease ids by slot; slot 0 is none. */
  readonly leaseIds: bigint[] = [0n];
  /** Keys by lease slot. */
  readonly attached: Set<string>[] = [new Set()];
  readonly txn = new WriteTxn(this.index, this, this);

  #find(main: number, sub: number): number {
    let low = 0;
    let high = this.data.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.data[middle]!, main, sub)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  readRow(main: number, sub: number, into: ByteSlice): void {
    const row = this.data[this.#find(main, sub)];
    invariant(row !== undefined && row.main === main && row.sub === sub, 'the row exists');
    into.buffer = row.bytes;
    into.offset = 1;
    into.length = row.bytes.length - 2;
  }

  appendRow(main: number, sub: number, tombstone: boolean, length: number, into: ByteSlice): void {
    const last = this.data.at(-1);
    invariant(last === undefined || isBefore(last, main, sub), 'rows are appended in order');
    // A byte to either side: access beyond the place is an error.
    const bytes = new Uint8Array(length + 2).fill(0xee);
    this.data.push({ main, sub, tombstone, bytes });
    into.buffer = bytes;
    into.offset = 1;
    into.length = length;
  }

  readonly splitValueBytesMin = 6;

  appendSplitRow(main: number, sub: number, row: SplitRow): void {
    this.appendRow(main, sub, false, row.length, slice);
    row.write(slice.buffer, slice.offset);
  }

  openRows(main: number, sub: number): RowCursor {
    let at = this.#find(main, sub) - 1;
    const { data } = this;
    return {
      main: 0,
      sub: 0,
      tombstone: false,
      value: new Slice(),
      next(this: { -readonly [P in keyof RowCursor]: RowCursor[P] }): boolean {
        const row = data[++at];
        if (row === undefined) return false;
        this.main = row.main;
        this.sub = row.sub;
        this.tombstone = row.tombstone;
        this.value.buffer = row.bytes;
        this.value.offset = 1;
        this.value.length = row.bytes.length - 2;
        return true;
      },
      close: () => {},
    };
  }

  grant(id: bigint): number {
    this.attached.push(new Set());
    return this.leaseIds.push(id) - 1;
  }

  slotOf(id: bigint): number {
    return Math.max(0, this.leaseIds.indexOf(id));
  }

  attach(slot: number, key: string): void {
    invariant(!this.attached[slot]!.has(key), 'a key is attached once');
    this.attached[slot]!.add(key);
  }

  detach(slot: number, key: string): void {
    invariant(this.attached[slot]!.delete(key), 'a key that is detached was attached');
  }

  /** Runs a write transaction at once. */
  write(body: (txn: WriteTxn) => void): void {
    this.txn.begin(this.currentRev, this.compactedRev);
    body(this.txn);
    this.currentRev = this.txn.end();
  }

  put(key: string, value = '', lease = 0n): void {
    const bytes = bytesFromLatin1(value);
    this.write((txn) => txn.put(key, bytes, 0, bytes.length, lease));
  }

  delete(key: string): void {
    this.write((txn) => txn.delete(key));
  }

  compact(rev: number): void {
    this.compactedRev = rev;
    const compaction = this.index.startCompaction(rev);
    const dropped = new Set<string>();
    while (!compaction.step(100, (main, sub) => dropped.add(`${main}.${sub}`)));
    this.data = this.data.filter(({ main, sub }) => !dropped.has(`${main}.${sub}`));
  }
}
