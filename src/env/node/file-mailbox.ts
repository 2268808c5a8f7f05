// Memory that two threads share: one fills it with whole batches of bytes, the other writes them to a file.
//
//    giver                                taker
//    append … hand over ──── filled > 0 ──▶ write, advance `written` …
//    append             ◀─── filled = 0 ─── release
//
// One batch at a time, so there is one write at a time and the order stays. Neither side waits for the
// other but where it asks for that, with a limit.

/** Bytes of one batch: what Linux gives a pipe. */
const BATCH_BYTES = 65_536;

/** Words of shared memory. Each is changed by one side alone, but for OWNER and WANTED. */
const OWNER = 0;
/** Bytes handed over; 0: the memory is the giver's. */
const FILLED = 1;
/** Bytes of these that are written. */
const WRITTEN = 2;
/** The giver wants to hear of the next release. */
const WANTED = 3;
/** Attempts that failed since the last that did not. */
const FAILED = 4;
const STOPPING = 5;
const ENDED = 6;
/** Counts what the taker may be waiting for. */
const NEWS_FOR_TAKER = 7;
/** Counts what the giver may be waiting for. */
const NEWS_FOR_GIVER = 8;
const HEADER_BYTES = 64;

/** Who writes the file. Whoever claims it first does so until its end. */
export const OWNERS = { NOBODY: 0, THREAD: 1, CALLER: 2 } as const;
type Owner = (typeof OWNERS)[keyof typeof OWNERS];

export class FileMailbox {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #batch: Uint8Array;
  /** The giver's: bytes appended and not handed over. */
  #appended = 0;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(HEADER_BYTES + BATCH_BYTES)) {
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, HEADER_BYTES / Int32Array.BYTES_PER_ELEMENT);
    this.#batch = new Uint8Array(memory, HEADER_BYTES);
  }

  get owner(): Owner {
    return Atomics.load(this.#words, OWNER) as Owner;
  }

  /** Whether `claimant` is the owner now. */
  claim(claimant: Owner): boolean {
    const before = Atomics.compareExchange(this.#words, OWNER, OWNERS.NOBODY, claimant);
    return before === OWNERS.NOBODY || before === claimant;
  }

  /** The giver, when the thread has ended: what it left undone is the giver's. */
  inherit(): void {
    Atomics.store(this.#words, OWNER, OWNERS.CALLER);
  }

  /** The giver: takes as many bytes as fit, 0 if that has to wait for a release, of which it hears then. */
  append(bytes: Uint8Array): number {
    if (!this.isFree) {
      Atomics.store(this.#words, WANTED, 1);
      // It may have been released before it was known that this is wanted.
      if (!this.isFree) return 0;
    }
    if (this.#appended > 0 && this.#appended + bytes.length > BATCH_BYTES) {
      this.handOver();
      return this.append(bytes);
    }
    const taken = bytes.subarray(0, BATCH_BYTES);
    this.#batch.set(taken, this.#appended);
    this.#appended += taken.length;
    return taken.length;
  }

  handOver(): void {
    if (this.#appended === 0) return;
    Atomics.store(this.#words, WRITTEN, 0);
    Atomics.store(this.#words, FILLED, this.#appended);
    this.#appended = 0;
    this.poke();
  }

  /** The giver: nothing handed over waits to be written. */
  get isFree(): boolean {
    return Atomics.load(this.#words, FILLED) === 0;
  }

  /** The giver: has the taker look for work, and try again what failed. */
  poke(): void {
    this.#count(NEWS_FOR_TAKER);
  }

  /** The giver: the taker ends when it has written what it can. */
  stop(): void {
    Atomics.store(this.#words, STOPPING, 1);
    this.poke();
  }

  get hasEnded(): boolean {
    return Atomics.load(this.#words, ENDED) === 1;
  }

  /** Attempts of the taker that failed since the last that did not. */
  get failedCount(): number {
    return Atomics.load(this.#words, FAILED);
  }

  /** The giver: a number for {@link waitForNews}. */
  get news(): number {
    return Atomics.load(this.#words, NEWS_FOR_GIVER);
  }

  /** The giver: waits until the taker has released, failed or ended since `seen`, `limitMs` at most. */
  waitForNews(seen: number, limitMs: number): void {
    Atomics.wait(this.#words, NEWS_FOR_GIVER, seen, limitMs);
  }

  /** The taker: what has to be written next, a copy; empty if there is nothing. */
  waiting(): Buffer {
    const written = Atomics.load(this.#words, WRITTEN);
    const filled = Atomics.load(this.#words, FILLED);
    return Buffer.from(this.#batch.slice(Math.min(written, filled), filled).buffer);
  }

  /** The taker: so many bytes more are written. Returns whether the giver waits to hear of the release. */
  advance(count: number): boolean {
    Atomics.store(this.#words, FAILED, 0);
    const written = Atomics.add(this.#words, WRITTEN, count) + count;
    if (written < Atomics.load(this.#words, FILLED)) return false;
    Atomics.store(this.#words, FILLED, 0);
    this.#count(NEWS_FOR_GIVER);
    return Atomics.exchange(this.#words, WANTED, 0) === 1;
  }

  acceptFailure(): void {
    Atomics.add(this.#words, FAILED, 1);
    this.#count(NEWS_FOR_GIVER);
  }

  get isStopping(): boolean {
    return Atomics.load(this.#words, STOPPING) === 1;
  }

  acceptEnd(): void {
    Atomics.store(this.#words, ENDED, 1);
    this.#count(NEWS_FOR_GIVER);
  }

  /** The taker: a number for {@link waitForWork}, to be asked for before it looks for work. */
  get pokes(): number {
    return Atomics.load(this.#words, NEWS_FOR_TAKER);
  }

  /** The taker: waits until it is poked, or has been since `seen`. */
  waitForWork(seen: number, limitMs?: number): void {
    Atomics.wait(this.#words, NEWS_FOR_TAKER, seen, limitMs);
  }

  #count(word: number): void {
    Atomics.add(this.#words, word, 1);
    Atomics.notify(this.#words, word);
  }
}
