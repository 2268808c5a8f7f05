// The keys below a prefix, kept the same in another cluster: first as they are, then each change. The
// changes of one revision arrive together, up to a bound, and in their order.

import { type Client, type KeyValue, type Op, op, type WatchEvent } from '../../../client/index.ts';
import { bytesOfWord, type Word, wordFromBytes } from '../../shell/words.ts';

/** Puts under way at a time while all keys are copied. */
const PUTS_AT_A_TIME = 64;

/** Read for the current revision where there is no prefix; whether it is there does not matter. */
const ANY_KEY = 'foo';

interface MirrorSettings {
  readonly prefix: Word;
  readonly destinationPrefix: Word;
  /** Keys are copied under the same names, unless a start revision is given: as etcdctl has it. */
  readonly keepsPrefix: boolean;
  /** Of one transaction at the destination; 0 for any number. */
  readonly operationsMax: number;
}

export class Mirror {
  /** Keys written and deleted so far. */
  count = 0;
  /** Called when `count` has changed. */
  onCount: (count: number) => void = () => {};
  readonly #source: Client;
  readonly #destination: Client;
  readonly #settings: MirrorSettings;
  #destinationPrefix: Word;

  constructor(source: Client, destination: Client, settings: MirrorSettings) {
    this.#source = source;
    this.#destination = destination;
    this.#settings = settings;
    this.#destinationPrefix = settings.destinationPrefix;
  }

  /**
   * Copies all keys, then every change; with a `revision` above 1, changes from that one on only. Never
   * resolves; rejects with what fails at either side.
   */
  async run(revision: number): Promise<never> {
    const before = Math.max(0, revision - 1);
    const startRevision = before > 0 ? before + 1 : (await this.#copyAll()) + 1;
    const prefix = bytesOfWord(this.#settings.prefix);
    const watch = this.#source.watch(prefix, { prefix: true, startRevision });
    for await (const { events } of watch.responses()) await this.#apply(events);
    throw new Error('the watch has ended');
  }

  /** Resolves with the revision at which the keys were read. */
  async #copyAll(): Promise<number> {
    const { prefix, keepsPrefix } = this.#settings;
    if (keepsPrefix) this.#destinationPrefix = prefix;
    const first = await this.#source.kv.get(prefix === '' ? ANY_KEY : bytesOfWord(prefix));
    const { revision } = first.header;
    let waiting: Promise<void>[] = [];
    const all = this.#source.kv.scan(bytesOfWord(prefix), { prefix: true, revision });
    for await (const kv of all) {
      waiting.push(this.#copy(kv));
      if (waiting.length < PUTS_AT_A_TIME) continue;
      await Promise.all(waiting);
      waiting = [];
    }
    await Promise.all(waiting);
    return revision;
  }

  async #copy({ key, value }: KeyValue): Promise<void> {
    await this.#destination.kv.put(this.#nameOf(key), value);
    this.#add(1);
  }

  async #apply(events: readonly WatchEvent[]): Promise<void> {
    const { operationsMax } = this.#settings;
    let ops: Op[] = [];
    let revision = 0;
    for (const { type, kv } of events) {
      const isFull = operationsMax > 0 && ops.length === operationsMax;
      if (ops.length > 0 && (kv.modRevision > revision || isFull)) {
        await this.#commit(ops);
        ops = [];
      }
      revision = kv.modRevision;
      const name = this.#nameOf(kv.key);
      ops.push(type === 'put' ? op.put(name, kv.value) : op.delete(name));
    }
    if (ops.length > 0) await this.#commit(ops);
  }

  async #commit(ops: readonly Op[]): Promise<void> {
    await this.#destination.kv
      .txn()
      .then(...ops)
      .commit();
    this.#add(ops.length);
  }

  #add(count: number): void {
    this.count += count;
    this.onCount(this.count);
  }

  #nameOf(key: Uint8Array): Uint8Array {
    const rest = wordFromBytes(key).slice(this.#settings.prefix.length);
    return bytesOfWord(`${this.#destinationPrefix}${rest}`);
  }
}
