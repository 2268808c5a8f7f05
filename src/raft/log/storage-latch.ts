// Between raft and the shell's storage: remembers the first failure, so that the raw node can
// distinguish a failed storage from its own mistakes, and never continues after half a step.

import { InvariantError, type LogIndex, type Term } from '../../base/index.ts';
import type { Entry, Snapshot } from '../raftpb.ts';
import type { InitialState, LogGap, Storage } from './storage.ts';

export class StorageLatch implements Storage {
  readonly #storage: Storage;
  #failure: Error | undefined;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** What the storage threw first; undefined while it works. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  initialState(): InitialState {
    try {
      return this.#storage.initialState();
    } catch (error) {
      throw this.#remember(error);
    }
  }

  firstIndex(): LogIndex {
    try {
      return this.#storage.firstIndex();
    } catch (error) {
      throw this.#remember(error);
    }
  }

  lastIndex(): LogIndex {
    try {
      return this.#storage.lastIndex();
    } catch (error) {
      throw this.#remember(error);
    }
  }

  term(index: LogIndex): Term | LogGap {
    try {
      return this.#storage.term(index);
    } catch (error) {
      throw this.#remember(error);
    }
  }

  entries(from: LogIndex, to: LogIndex, sizeMax: number): Entry[] | LogGap {
    try {
      return this.#storage.entries(from, to, sizeMax);
    } catch (error) {
      throw this.#remember(error);
    }
  }

  snapshot(): Snapshot | undefined {
    try {
      return this.#storage.snapshot();
    } catch (error) {
      throw this.#remember(error);
    }
  }

  #remember(error: unknown): unknown {
    // A failed invariant is a mistake in the program and must stop it.
    if (!(error instanceof InvariantError)) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
    return error;
  }
}
