// Whether a member is active, as its links report.

import type { PeerContext } from './context.ts';

/** The place of a failure, for the log. */
interface FailurePlace {
  readonly source: string;
  readonly action: string;
}

export class PeerStatus {
  readonly #context: PeerContext;
  readonly id: string;
  /** Monotonic ms; undefined while inactive. */
  activeSinceMs: number | undefined;

  constructor(context: PeerContext, id: string) {
    this.#context = context;
    this.id = id;
  }

  get active(): boolean {
    return this.activeSinceMs !== undefined;
  }

  activate(): void {
    if (this.active) return;
    const { local, log, metrics } = this.#context;
    log.info('peer became active', { 'peer-id': this.id });
    this.activeSinceMs = this.#context.nowMs();
    metrics.activePeers(local, this.id).value++;
  }

  deactivate(place: FailurePlace, reason: string): void {
    const { local, log, metrics } = this.#context;
    if (!this.active && !log.debugEnabled) return;
    const error = `failed to ${place.action} ${this.id} on ${place.source} (${reason})`;
    if (!this.active) {
      log.debug('peer deactivated again', { 'peer-id': this.id, error });
      return;
    }
    log.warn('peer became inactive (message send to peer failed)', { 'peer-id': this.id, error });
    this.activeSinceMs = undefined;
    metrics.activePeers(local, this.id).value--;
    metrics.disconnectedPeers(local, this.id).value++;
  }

  /** The member is no peer any more. */
  forget(): void {
    if (this.active) this.#context.metrics.activePeers(this.#context.local, this.id).value--;
    this.activeSinceMs = undefined;
  }
}
