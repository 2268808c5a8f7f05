// Replaces the file of a running backend by another one with the same content (online defragmentation).
//
//     1. a commit is pinned; from here on the keys that later commits change are recorded
//     2. the new file is filled from the pinned commit, under a temporary name
//     3. what was committed since is carried over, until little is left
//     4. batches are paused: the rest is carried over, the new file is renamed to the old one's name, and
//        in one turn becomes the tree
//     5. readers of the old file go on for a bounded time; batches go to the new one
//
// Writes go on through 1 to 3 and collect in the live batch during 4. A crash before the rename leaves
// the old file under the name, one after it the new file: both hold the newest commit, so that nothing
// durable is lost. A file of the temporary name may be left behind.

import {
  ERROR_CODES,
  failpoints,
  hasCode,
  invariant,
  type LogIndex,
  TetcdError,
  verify,
} from '../../base/index.ts';
import type { Database, ReadTransaction, SpareFile } from '../../bbolt/index.ts';
import type { Env } from '../../env/index.ts';
import { CARRY_OVER_KEYS_MAX, CARRY_OVER_LAST_BATCHES, CARRY_OVER_PASSES_MAX } from '../limits.ts';
import { META_KEY } from '../schema/schema.ts';
import { carryOver } from './carry-over.ts';
import { ChangeNotes } from './change-notes.ts';
import { CommittedView } from './committed-view.ts';
import type { DurableIndex } from './durable-index.ts';
import { readCount } from './file-pass.ts';
import type { Overlay } from './overlay.ts';
import { assertSameContent } from './same-content.ts';
import type { SpareFiles } from './spare-files.ts';

export interface ExchangeOptions {
  /**
   * Temporary name of the new file, in the same directory; with `.next` behind it, it is another one, for
   * every second exchange. A leftover of that name is removed.
   */
  readonly path: string;
  /**
   * Fills `target`, a new database, with exactly the content of `commit`: buckets, keys, values. Both
   * are the exchange's: `commit` is closed, and `target` too, if it is abandoned.
   */
  readonly fill: (commit: ReadTransaction, target: Database) => Promise<void>;
  /** Bound of the recorded keys; CARRY_OVER_KEYS_MAX by default. */
  readonly notedKeysMax?: number;
}

/** What an exchange needs of its backend. */
export interface ExchangePort {
  readonly env: Env;
  /** The final name of the new file. */
  readonly path: string;
  /** Opens a new database there, as the backend's own is opened, in the spare file if there is one. */
  open(path: string, spare: SpareFile | undefined): Promise<Database>;
  /** Files for the next exchanges. */
  readonly spares: Pick<SpareFiles, 'take' | 'keep' | 'undo'>;
  /** The one that is replaced. */
  readonly old: Database;
  commit(): Promise<DurableIndex>;
  /** The newest commit, for the caller to close. */
  beginRead(): ReadTransaction;
  durableIndex(): LogIndex;
  /** Changes that one transaction takes. */
  readonly batchChanges: number;
  /** Resolves when no batch is being written; none is cut until {@link resumeBatches}. */
  pauseBatches(): Promise<void>;
  resumeBatches(): void;
  /** Makes `target` the tree, while batches are paused. The old file then keeps the name `keptAs`. */
  switchTo(target: Database, keptAs: string | undefined): void;
  /** It is unknown which of the two files has the name: nothing may be written any more. */
  fail(error: unknown): void;
}

type Phase =
  /** Can be abandoned: it then ends at the next step. */
  | { readonly kind: 'preparing' }
  | { readonly kind: 'abandoned'; readonly error: unknown }
  /** From the rename on: cannot be abandoned. */
  | { readonly kind: 'renaming' };

const PREPARING: Phase = { kind: 'preparing' };
const RENAMING: Phase = { kind: 'renaming' };

export class Exchange {
  /** Settles when the new file is in use, or when it is removed and the old one stays. */
  readonly done: Promise<void>;
  readonly #port: ExchangePort;
  readonly #options: ExchangeOptions;
  /** Temporary name of the new file, once it is this exchange's. */
  #path: string | undefined;
  #phase: Phase = PREPARING;
  /** Changes since the commit that the new file holds; undefined before one is pinned. */
  #notes: ChangeNotes | undefined;
  #target: Database | undefined;
  #closing: Promise<void> | undefined;
  #endWaiting: () => void = () => {};
  readonly #abandoned: Promise<void>;

  constructor(port: ExchangePort, options: ExchangeOptions) {
    invariant(options.path !== port.path, 'the new file has a name of its own');
    this.#port = port;
    this.#options = options;
    this.#abandoned = new Promise((resolve) => {
      this.#endWaiting = resolve;
    });
    this.done = this.#run();
    // `abandon` waits for it without handling the outcome.
    this.done.catch(() => undefined);
  }

  /** A batch was committed to the old file. */
  noteCommit(overlay: Overlay): void {
    if (this.#notes === undefined) return;
    invariant(this.#phase.kind !== 'renaming', 'no batch reaches the old file after its rest');
    this.#notes.add(overlay);
    if (this.#notes.keyCount <= (this.#options.notedKeysMax ?? CARRY_OVER_KEYS_MAX)) return;
    this.abandon(
      new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, 'too much is removed while a file is rewritten'),
    );
  }

  get isRenaming(): boolean {
    return this.#phase.kind === 'renaming';
  }

  /** Ends it with `error`, unless the rename has begun; {@link done} says when. */
  abandon(error: unknown): void {
    if (this.#phase.kind !== 'preparing') return;
    this.#phase = { kind: 'abandoned', error };
    this.#endWaiting();
    // A `fill` in progress fails at its next block.
    void this.#closeTarget();
    this.#port.resumeBatches();
  }

  async #run(): Promise<void> {
    const port = this.#port;
    try {
      await port.commit();
      this.#assertGoesOn();
      await this.#prepare();
      await this.#takeOver();
    } catch (error) {
      await this.#closeTarget();
      if (this.#phase.kind === 'renaming') throw error;
      await this.#removeLeftover().catch(() => undefined);
      throw this.#phase.kind === 'abandoned' ? this.#phase.error : error;
    }
  }

  /** Steps 1 to 3. */
  async #prepare(): Promise<void> {
    const { path, spare } = await this.#port.spares.take(this.#options.path);
    this.#path = path;
    if (spare === undefined) await this.#removeLeftover();
    // The target is opened before a commit is pinned, so that it is pinned as briefly as possible.
    this.#target = await this.#port.open(path, spare);
    this.#assertGoesOn();
    const { commit } = this.#pin();
    try {
      const filled = this.#options.fill(commit, this.#target);
      await Promise.race([filled, this.#abandoned]);
    } finally {
      commit.close();
    }
    let before = Number.POSITIVE_INFINITY;
    for (let pass = 0; pass < CARRY_OVER_PASSES_MAX; pass++) {
      this.#assertGoesOn();
      const few = CARRY_OVER_LAST_BATCHES * this.#port.batchChanges;
      const { changeCount } = this.#notes!;
      // While one pass left as much behind as it took, writers outrun it, and the next would find more.
      if (changeCount <= few || changeCount >= before) return;
      before = changeCount;
      await this.#carryOver();
    }
  }

  /** Step 4. */
  async #takeOver(): Promise<void> {
    const port = this.#port;
    try {
      await port.pauseBatches();
      this.#assertGoesOn();
      await this.#carryOver();
      if (verify.all) await this.#assertSameContent();
      this.#assertGoesOn();
      const target = this.#target!;
      const held = new CommittedView(target.beginRead());
      const index = readCount(held, META_KEY.CONSISTENT_INDEX);
      held.transaction.close();
      invariant(index === port.durableIndex(), 'the new file holds what is durable');
      invariant(this.#notes!.changeCount === 0, 'nothing was committed behind it');
      this.#phase = RENAMING;
      if (failpoints.active !== undefined) await failpoints.active.hold('defragBeforeRename');
      const keptAs = await port.spares.keep(port.old, target.path, this.#options.path);
      await this.#rename(target, keptAs);
      this.#notes = undefined;
      this.#target = undefined;
      port.switchTo(target, keptAs);
    } finally {
      port.resumeBatches();
    }
  }

  /** Carries over what was committed to the old file until now. */
  async #carryOver(): Promise<void> {
    const { commit, notes } = this.#pin();
    try {
      const { env, batchChanges } = this.#port;
      const assertGoesOn = () => this.#assertGoesOn();
      await carryOver({ env, commit, notes, target: this.#target!, batchChanges, assertGoesOn });
    } finally {
      commit.close();
    }
  }

  /** In one turn: the newest commit, the changes up to it, and a new record for later changes. */
  #pin(): { readonly commit: ReadTransaction; readonly notes: ChangeNotes } {
    const notes = this.#notes ?? new ChangeNotes();
    this.#notes = new ChangeNotes();
    return { commit: this.#port.beginRead(), notes };
  }

  async #rename(target: Database, keptAs: string | undefined): Promise<void> {
    const port = this.#port;
    const { path } = target;
    try {
      await target.rename(port.path);
    } catch (error) {
      if (keptAs !== undefined) await port.spares.undo(keptAs);
      // Not renamed, if the new file still has its temporary name (Windows, while the old one is open).
      const { disk } = port.env;
      const left = await disk.stat(path).catch(() => undefined);
      if (left !== undefined) this.#phase = PREPARING;
      // Else it is unknown which file has the name after a crash: the old one must get no further commit.
      else port.fail(error);
      throw error;
    }
    invariant(target.path === port.path, 'the new file has the name');
  }

  async #assertSameContent(): Promise<void> {
    const [one, other] = [this.#port.beginRead(), this.#target!.beginRead()];
    try {
      await assertSameContent(this.#port.env, one, other);
    } finally {
      one.close();
      other.close();
    }
  }

  #assertGoesOn(): void {
    if (this.#phase.kind === 'abandoned') throw this.#phase.error;
  }

  /** Once: a second close would wait for the first one's writer. */
  #closeTarget(): Promise<void> {
    const target = this.#target;
    if (target === undefined) return Promise.resolve();
    // An error of closing is ignored, since the file is removed.
    this.#closing ??= target.close().catch(() => undefined);
    return this.#closing;
  }

  async #removeLeftover(): Promise<void> {
    if (this.#path === undefined) return;
    try {
      await this.#port.env.disk.remove(this.#path);
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.NOT_FOUND)) throw error;
    }
  }
}
