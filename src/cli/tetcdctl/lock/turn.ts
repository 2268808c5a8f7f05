// A place in the queue of those who want the same thing: each has a key under its name, attached to a
// lease. The oldest key has its turn. Locks and elections of etcd's clients are such queues.

import { type Bytes, type Client, op } from '../../../client/index.ts';
import { bytesOfWord, type Word, wordFromText } from '../../shell/words.ts';
import type { LeaseSession } from './lease-session.ts';

export class Turn {
  readonly key: Uint8Array;
  /** Below which the keys of the queue are. */
  readonly #prefix: Uint8Array;
  readonly #session: LeaseSession;
  /** Revision of the newest answer about the queue. */
  revision = 0;

  constructor(session: LeaseSession, name: Word) {
    this.#session = session;
    this.#prefix = prefixOf(name);
    this.key = bytesOfWord(`${name}/${wordFromText(session.lease.toString(16))}`);
  }

  /**
   * Enters the queue and waits for the turn. Resolves with false if the lease was lost meanwhile;
   * rejects with the signal's reason. The end of the lease leaves the queue.
   */
  async wait(value: Bytes, signal: AbortSignal): Promise<boolean> {
    const { client, lease } = this.#session;
    const first = { prefix: true, sortBy: 'createRevision', limit: 1 } as const;
    const { header, responses } = await client.kv
      .txn()
      .then(op.put(this.key, value, { lease }), op.get(this.#prefix, first))
      .commit({ signal });
    this.revision = header.revision;
    const oldest = responses[1]?.type === 'get' ? responses[1].kv : undefined;
    if (oldest?.createRevision === header.revision) return true;
    await this.#waitForOlder(header.revision - 1, signal);
    const own = await client.kv.get(this.key, { signal });
    this.revision = own.header.revision;
    return own.kv !== undefined;
  }

  async #waitForOlder(maxCreateRevision: number, signal: AbortSignal): Promise<void> {
    const { client } = this.#session;
    for (;;) {
      const { kv, header } = await client.kv.get(this.#prefix, {
        prefix: true,
        sortBy: 'createRevision',
        order: 'descend',
        limit: 1,
        maxCreateRevision,
        signal,
      });
      if (kv === undefined) return;
      await deleted(client, kv.key, header.revision + 1, signal);
    }
  }
}

export function prefixOf(name: Word): Uint8Array {
  return bytesOfWord(`${name}/`);
}

async function deleted(
  client: Client,
  key: Uint8Array,
  startRevision: number,
  signal: AbortSignal,
): Promise<void> {
  const watch = client.watch(key, { startRevision, filters: ['noPut'], signal });
  for await (const _event of watch) return;
}
