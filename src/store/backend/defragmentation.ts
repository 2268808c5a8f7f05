// The backend's file is written again without free pages while it is in use: copied in key order from a
// pinned commit, then exchanged for the old one (`file-exchange.ts`). Until the exchange nothing has
// changed, whatever fails.

import { ERROR_CODES, failpoints, humanBytes, TetcdError } from '../../base/index.ts';
import type { Env, Timer } from '../../env/index.ts';
import {
  COMPACTED_SHARE,
  COPY_REST_FACTOR,
  DEFRAGMENT_CHECK_MS,
  DEFRAGMENT_RESERVE_BYTES,
} from '../limits.ts';
import type { Backend } from './backend.ts';

export interface DefragmentProgress {
  /** Bytes of the new file. */
  readonly copiedBytes: number;
  /** Bytes that it is expected to have, at least one. */
  readonly expectedBytes: number;
}

/** Makes the first defragmentation of the backend quicker to begin; best while the process is small. */
export function prepareDefragmentation(backend: Backend): Promise<void> {
  return backend.prepareExchange(newPathOf(backend));
}

function newPathOf({ database }: Backend): string {
  return `${database.path}.tmp.defragment`;
}

/**
 * Resolves when the new file is in use. Rejects as {@link Backend.exchange} does, and with DISK_FULL,
 * naming what is needed and what is free, if there is not or no longer room for a second file.
 * `onProgress` is called every DEFRAGMENT_CHECK_MS.
 */
export async function defragment(
  env: Env,
  backend: Backend,
  onProgress?: (progress: DefragmentProgress) => void,
): Promise<void> {
  const room = new Room(env, backend);
  await room.check(0);
  failAt('defragOpenFileError');
  await backend.exchange({
    path: newPathOf(backend),
    fill: async (commit, target) => {
      const watched = room.watch(() => {
        const copiedBytes = target.fileSize();
        onProgress?.({ copiedBytes, expectedBytes: Math.max(copiedBytes, room.copyBytes) });
        return copiedBytes;
      });
      try {
        if (failpoints.active !== undefined) await failpoints.active.hold('defragBeforeCopy');
        failAt('defragdbFail');
        const copied = backend.database.compactInto(target, {
          commit,
          restFactor: COPY_REST_FACTOR,
        });
        await Promise.race([copied, watched.isShort]);
      } finally {
        watched.end();
      }
    },
  });
}

function failAt(name: 'defragOpenFileError' | 'defragdbFail'): void {
  const text = failpoints.active?.failure(name);
  if (text !== undefined) throw new TetcdError(ERROR_CODES.DISK_FAILED, text);
}

/** Of the disk, for a second file and for what is written meanwhile. */
class Room {
  /** The new file, at most. */
  readonly copyBytes: number;
  /** Left to the log and to the batches of the old file: as much again, up to a bound. */
  readonly #reserveBytes: number;
  readonly #env: Env;
  readonly #path: string;
  readonly #directory: string;

  constructor(env: Env, backend: Backend) {
    this.#env = env;
    this.#path = backend.database.path;
    this.#directory = this.#path.slice(0, Math.max(1, this.#path.lastIndexOf('/')));
    this.copyBytes = Math.ceil(backend.sizeInUseBytes / COMPACTED_SHARE);
    this.#reserveBytes = Math.min(this.copyBytes, DEFRAGMENT_RESERVE_BYTES);
  }

  /** Throws unless what is still to be copied fits beside the reserve. */
  async check(copiedBytes: number): Promise<void> {
    const needed = Math.max(0, this.copyBytes - copiedBytes) + this.#reserveBytes;
    const free = await this.#env.disk.freeBytes(this.#directory);
    if (free >= needed) return;
    const text =
      `defragmentation needs ${humanBytes(needed)} of free disk space in ${this.#directory}, ` +
      `${humanBytes(free)} are free`;
    throw new TetcdError(ERROR_CODES.DISK_FULL, text);
  }

  /** Checks it now and then; `isShort` rejects when it does not suffice, and never resolves. */
  watch(copiedBytes: () => number): { readonly isShort: Promise<never>; end(): void } {
    let timer: Timer | undefined;
    let isOver = false;
    const isShort = new Promise<never>((_, reject) => {
      const later = () => {
        if (isOver) return;
        timer = this.#env.timers.after(DEFRAGMENT_CHECK_MS, () => {
          this.check(copiedBytes()).then(later, reject);
        });
      };
      later();
    });
    isShort.catch(() => undefined);
    const end = () => {
      isOver = true;
      timer?.cancel();
    };
    return { isShort, end };
  }
}
