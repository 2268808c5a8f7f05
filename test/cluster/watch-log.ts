// A watch on everything through one member, taken up again where it broke off, whatever happens
// to that member; checks as events come that none is
// missing, twice or out of order: there, every revision has an event.

import type { ApiClient, ApiStream, Message } from '../helpers/api.ts';
import { pause, until } from './until.ts';

const ALL = { key: '\0', range_end: '\0' } as const;
const RETRY_MS = 50;
/** The member that issued the token has been started again. */
const TOKEN_REFUSED = /invalid auth token/;
const COMPLETE_TIMEOUT_MS = 30_000;

export class WatchLog {
  /** `revision key = value`, or `revision key deleted`. */
  readonly events: string[] = [];
  readonly wrong: string[] = [];
  /** How often the stream had to be opened. */
  opened = 0;
  readonly #client: ApiClient;
  #revision: number;
  #stream: ApiStream | undefined;
  #stopping = false;
  readonly #mayRepeat: boolean;
  readonly #running: Promise<void>;

  /**
   * Events from `revision` on; the ones repeated are left out where that is no mistake. `client` is
   * closed at the end.
   */
  constructor(client: ApiClient, revision: number, options: { readonly mayRepeat?: boolean } = {}) {
    this.#client = client;
    this.#mayRepeat = options.mayRepeat === true;
    this.#revision = revision - 1;
    this.#running = this.#run();
  }

  /** Resolves when the events up to `revision`, which must be one of a write, have come. */
  async upTo(revision: number): Promise<void> {
    const look = (): true | undefined => (this.#revision >= revision ? true : undefined);
    await until(`events up to ${revision}`, look, COMPLETE_TIMEOUT_MS).catch((error: Error) => {
      throw new Error(`${error.message}; the last is of ${this.#revision}`);
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stream?.cancel();
    await this.#running;
    this.#client.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const token = await this.#client.token().catch((error: Error) => error);
      if (token instanceof Error) {
        await pause(RETRY_MS);
        continue;
      }
      const stream = this.#client.stream('Watch/Watch', token);
      this.#stream = stream;
      this.opened++;
      const start = String(this.#revision + 1);
      stream.send({ create_request: { ...ALL, start_revision: start } });
      while (stream.ended === undefined && !this.#stopping) {
        await stream.until(() => stream.received.length > 0, COMPLETE_TIMEOUT_MS);
        for (const response of stream.received.splice(0)) this.#take(response);
      }
      stream.cancel();
      if (!this.#stopping) await pause(RETRY_MS);
    }
  }

  #take(response: Message): void {
    if (response['canceled'] === true) {
      const { compact_revision: compacted, cancel_reason: reason } = response;
      if (TOKEN_REFUSED.test(String(reason))) {
        this.#client.forgetToken();
        this.#stream?.cancel();
        return;
      }
      this.wrong.push(`canceled at ${this.#revision}: ${reason}, compacted ${compacted}`);
      this.#stopping = true;
      return;
    }
    let last = this.#revision;
    for (const event of response['events'] as readonly Message[]) {
      const pair = event['kv'] as Message;
      const revision = Number(pair['mod_revision']);
      // Several of one revision come together.
      if (this.#mayRepeat && revision <= this.#revision) continue;
      const follows = revision === last + 1 || (revision === last && last > this.#revision);
      if (!follows) {
        this.wrong.push(`event of ${revision} after ${last}`);
      }
      last = Math.max(last, revision);
      const what = event['type'] === 1 ? 'deleted' : `= ${pair['value']}`;
      this.events.push(`${revision} ${pair['key']} ${what}`);
    }
    this.#revision = last;
  }
}
