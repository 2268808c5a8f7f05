// Flushes every connection with pending output once per turn of the event loop: the frames of all calls
// answered in the turn are one write. Connections with news go first: what a request has caused is heard
// no later than its answer.

import { invariant } from '../../base/index.ts';
import type { Timers } from '../../env/index.ts';

export interface Flushable {
  /**
   * Called once or twice at the end of a turn, or with `isEnd` false before it; of two calls with the same
   * number the second does nothing.
   */
  flushTurn(turn: number, isEnd: boolean): void;
}

/**
 * Connections with news that are flushed before the answers of the turn, at about 20 µs each; further ones
 * come after these answers, which would wait too long.
 */
export const NEWS_FLUSHES_MAX = 32;

/** One per server or channel. */
export class FlushScheduler {
  #waiting: Flushable[] = [];
  #spare: Flushable[] = [];
  #withNews: Flushable[] = [];
  #spareWithNews: Flushable[] = [];
  #isScheduled = false;
  #corks = 0;
  #turn = 0;
  readonly #timers: Timers;
  readonly #run: () => void;

  constructor(timers: Timers) {
    this.#timers = timers;
    this.#run = () => {
      this.#isScheduled = false;
      this.#flushAll(true);
    };
  }

  /** Schedules a flush of `connection`; each of the two is called once until it is flushed. */
  add(connection: Flushable): void {
    this.#waiting.push(connection);
    this.#schedule();
  }

  /** As {@link add}, of a connection that is to go first. */
  addWithNews(connection: Flushable): void {
    this.#withNews.push(connection);
    this.#schedule();
  }

  /** Until as many calls of {@link uncork}, in this turn, what is added waits for the last of them. */
  cork(): void {
    this.#corks++;
  }

  /** The last one flushes all that waits: with `now` at once, else at the end of the turn. */
  uncork(now: boolean): void {
    invariant(this.#corks > 0, 'what is uncorked was corked');
    this.#corks--;
    if (this.#corks > 0) return;
    if (this.#waiting.length === 0 && this.#withNews.length === 0) return;
    if (now) this.#flushAll(false);
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#corks > 0) return;
    this.#isScheduled = true;
    this.#timers.atEndOfTurn(this.#run);
  }

  #flushAll(isEnd: boolean): void {
    const batch = this.#waiting;
    const withNews = this.#withNews;
    this.#waiting = this.#spare;
    this.#withNews = this.#spareWithNews;
    const turn = ++this.#turn;
    const first = Math.min(withNews.length, NEWS_FLUSHES_MAX);
    for (let i = 0; i < first; i++) withNews[i]!.flushTurn(turn, isEnd);
    for (const connection of batch) connection.flushTurn(turn, isEnd);
    for (let i = first; i < withNews.length; i++) withNews[i]!.flushTurn(turn, isEnd);
    batch.length = 0;
    withNews.length = 0;
    this.#spare = batch;
    this.#spareWithNews = withNews;
  }
}
