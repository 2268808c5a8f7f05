// A member inside a program, as the program sees it.

/** Why a member no longer runs. */
export type ClosedReason =
  /** By `close`, or by the signal given at the start. */
  | { readonly reason: 'closed' }
  /** Removed from the cluster. Its data directory must not be used again. */
  | { readonly reason: 'removed' }
  /** A failure stopped it, or its close failed; a start on the same directory recovers. */
  | { readonly reason: 'failed'; readonly error: unknown };

/** The internal parts of a member. */
interface Parts {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly name: string;
  readonly clientUrls: readonly string[];
  readonly clientHttpUrls: readonly string[];
  readonly metricsUrls: readonly string[];
  readonly peerUrls: readonly string[];
  readonly stop: () => Promise<void>;
}

/** A member that `startMember` has started. Runs until it is closed, removed or fails. */
export class RunningMember implements AsyncDisposable {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly name: string;
  /** URLs for clients, with the ports chosen for 0: usable as endpoints of a client. */
  readonly clientUrls: readonly string[];
  /** URLs that serve HTTP only. */
  readonly clientHttpUrls: readonly string[];
  /** URLs that serve only metrics and health. */
  readonly metricsUrls: readonly string[];
  /** URLs for other members. */
  readonly peerUrls: readonly string[];
  /** Resolves with the reason when the member has stopped; never rejects. */
  readonly closed: Promise<ClosedReason>;

  readonly #stop: () => Promise<void>;
  readonly #resolveClosed: (reason: ClosedReason) => void;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(parts: Parts, ended: Promise<ClosedReason>) {
    this.memberId = parts.memberId;
    this.clusterId = parts.clusterId;
    this.name = parts.name;
    this.clientUrls = parts.clientUrls;
    this.clientHttpUrls = parts.clientHttpUrls;
    this.metricsUrls = parts.metricsUrls;
    this.peerUrls = parts.peerUrls;
    this.#stop = parts.stop;
    const { promise, resolve } = deferred<ClosedReason>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    void ended.then(resolve);
  }

  /**
   * Transfers leadership, waits for running calls (some seconds at most), makes everything applied durable
   * and unlocks the directory. Further calls return the same promise. Rejects with the error of a failed
   * close; the member has stopped then too.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#stop();
      this.#resolveClosed({ reason: 'closed' });
    } catch (error) {
      this.#resolveClosed({ reason: 'failed', error });
      throw error;
    }
  }

  /** `await using member = await startMember(...)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
