import { invariant, type Revision } from '../../base/index.ts';
import type { WriteTxn } from '../../mvcc/index.ts';
import type { KvStore } from '../kv/kv-store.ts';

/** The one write transaction of the store, which the appliers use in turn. */
export class StoreWriter {
  readonly #kv: KvStore;
  readonly #txn: WriteTxn;
  readonly #onChanges: (revision: Revision, txn: WriteTxn) => void;
  #writing = false;

  /** `onChanges`: a transaction has ended, its changes are visible at this revision. */
  constructor(kv: KvStore, txn: WriteTxn, onChanges: (revision: Revision, txn: WriteTxn) => void) {
    this.#kv = kv;
    this.#txn = txn;
    this.#onChanges = onChanges;
  }

  begin(): WriteTxn {
    invariant(!this.#writing, 'one request writes at a time');
    this.#txn.begin(this.#kv.currentRev, this.#kv.compactedRev);
    this.#writing = true;
    return this.#txn;
  }

  /** Safe to call when nothing has begun. */
  end(): void {
    if (!this.#writing) return;
    this.#writing = false;
    const revision = this.#txn.end();
    if (revision === this.#kv.currentRev) return;
    invariant(revision > this.#kv.currentRev, 'revisions only grow');
    this.#kv.currentRev = revision;
    this.#onChanges(revision, this.#txn);
  }
}
