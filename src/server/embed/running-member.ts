// A member as the program sees it that started one inside itself.

/** Why a member no longer runs. */
export type ClosedReason =
  /** By `close`, or by the signal given at the start. */
  | { readonly reason: 'closed' }
  /** The others removed it from the cluster. Its data directory must not be used again. */
  | { readonly reason: 'removed' }
  /** It could not go on, or not close in order; a start on the same directory recovers. */
  | { readonly reason: 'failed'; readonly error: unknown };

/** The parts of a member that its program does not see. */
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
  /** Where clients are served, ports chosen for 0 included: endpoints for a client. */
  readonly clientUrls: readonly string[];
  /** Where HTTP alone is served. */
  readonly clientHttpUrls: readonly string[];
  /** Where metrics and health alone are served. */
  readonly metricsUrls: readonly string[];
  /** Where it listens for other members. */
  readonly peerUrls: readonly string[];
  /** Resolves when the member has stopped, to why; never rejects. */
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
   * Hands leadership over, lets calls under way end (for some seconds), makes everything that was
   * applied durable and releases the directory. Again: the same promise. Rejects with what went
   * wrong; the member has stopped then too.
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
