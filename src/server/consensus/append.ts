// What the ready loop gives to the log.

import { invariant } from '../../base/index.ts';
import { type HardState, LOCAL_APPEND_THREAD, type Message } from '../../raft/index.ts';
import type { WalAppend } from '../../wal/index.ts';

/** The ready loop, as its appends see it. */
interface AppendOwner {
  nextSequence(): number;
  isAlone(entries: number): boolean;
  acceptAppend(append: Append, error: unknown): void;
}

/** One append in progress: the work of the WAL, and the responses when it is durable. */
export class Append implements WalAppend {
  /** 1 for the first append of the loop; the WAL completes them in this order. */
  readonly sequence: number;
  readonly message: Message;
  readonly hardState: HardState | undefined;
  readonly mustSync: boolean;
  readonly isAlone: boolean;
  readonly #loop: AppendOwner;

  constructor(
    loop: AppendOwner,
    message: Message,
    hardState: HardState | undefined,
    mustSync: boolean,
  ) {
    invariant(message.to === LOCAL_APPEND_THREAD, 'an append is for the log');
    invariant(
      mustSync || message.snapshot === undefined,
      'a snapshot is synced with the commit index that covers it',
    );
    this.#loop = loop;
    this.sequence = loop.nextSequence();
    this.message = message;
    this.hardState = hardState;
    this.mustSync = mustSync;
    this.isAlone = loop.isAlone(message.entries.length);
  }

  get entries(): Message['entries'] {
    return this.message.entries;
  }

  complete(error: unknown): void {
    this.#loop.acceptAppend(this, error);
  }
}
