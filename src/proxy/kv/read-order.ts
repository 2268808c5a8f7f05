// `--experimental-serializable-ordering`: answers never go back behind a revision that was seen in an
// answer before the request came, whichever member gives them.

import { bytesFromUtf8 } from '../../base/index.ts';
import type { Timers } from '../../env/index.ts';
import { BYTES_ENCODER, type Channel, GrpcStatusError, STATUS } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { WireCursor } from '../calls/wire-cursor.ts';
import { ORDER_RETRY_MS } from '../limits.ts';
import type { ProxyLog } from '../log.ts';

const HEADER = 1;
const REVISION = 3;

export class ReadOrder {
  #revision = 0;

  /** The highest revision that was seen. */
  get revision(): number {
    return this.#revision;
  }

  /** Takes note of an encoded answer about keys, of any method. */
  note(reply: Uint8Array): void {
    this.noteRevision(revisionOf(reply));
  }

  noteRevision(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
  }

  /** Whether the answer may be given where `since` had been seen; takes note of one that may. */
  admits(reply: Uint8Array, since: number): boolean {
    const revision = revisionOf(reply);
    this.noteRevision(revision);
    return revision >= since;
  }
}

/** In the header; 0 without one. All answers have it in the same place. */
function revisionOf(reply: Uint8Array): number {
  const fields = new WireCursor(reply, 0, reply.length);
  while (fields.next()) {
    if (fields.field !== HEADER) continue;
    const header = new WireCursor(reply, fields.start, fields.end);
    while (header.next()) if (header.field === REVISION) return header.value;
  }
  return 0;
}

interface LearningParts {
  readonly channel: Channel;
  readonly timers: Timers;
  readonly log: ProxyLog;
}

/**
 * Takes note of the newest revision: a proxy that starts again does not go back behind what it has
 * answered before. Waits for the cluster; one that does not let the proxy read is not waited for.
 */
export async function learnRevision(
  order: ReadOrder,
  { channel, timers, log }: LearningParts,
): Promise<void> {
  const { range } = etcdserverpb.KVService.methods;
  const request = range.request.create({ key: bytesFromUtf8('_'), keysOnly: true });
  log.info('waiting for linearized read from cluster to recover ordering');
  for (;;) {
    try {
      const bytes = range.request.encode(request);
      order.note(await channel.request(range.path, BYTES_ENCODER, bytes, {}));
      return;
    } catch (error) {
      const isThere = error instanceof GrpcStatusError && error.code !== STATUS.UNAVAILABLE;
      if (isThere) {
        log.warn('ordering recovery was refused; it begins with the answers to clients', { error });
        return;
      }
      log.warn('ordering recovery failed, retrying in 1s', { error: error as Error });
    }
    await new Promise<void>((resolve) => void timers.after(ORDER_RETRY_MS, resolve));
  }
}
