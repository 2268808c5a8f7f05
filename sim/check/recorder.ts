// Records what clients do and see. One recorder serves all clients of a run, in one process: its
// count of moments is what orders their calls and returns.

import type { Clock } from '../../src/env/index.ts';
import type {
  History,
  Moment,
  Operation,
  Outcome,
  Request,
  Result,
  Watch,
  WatchEnd,
  WatchRequest,
  WatchResponse,
} from './history.ts';

/** What a request was answered. */
export interface Reply {
  readonly revision: number;
  readonly member: string;
  readonly term: number;
  readonly result: Result;
}

/** Something that executes requests: a client of a server, or a stand-in. */
export interface Target {
  /** Rejects with the failure. */
  execute(request: Request): Promise<Reply>;
  /** Tells a refusal, by name, from a failure of which the outcome is unknown (undefined). */
  refusalOf(error: unknown): string | undefined;
}

export class Recorder {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #operations: Operation[] = [];
  readonly #watches: WatchRecording[] = [];
  #order = 0;
  #highestRevision = 1;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  get operations(): readonly Operation[] {
    return this.#operations;
  }

  /** The highest revision that any response has shown. */
  get highestRevision(): number {
    return this.#highestRevision;
  }

  moment(): Moment {
    return { order: ++this.#order, atMs: this.#clock.monotonicMs() };
  }

  /** Executes a request and records how it went; never rejects. */
  async execute(client: string, target: Target, request: Request): Promise<Outcome> {
    const called = this.moment();
    let outcome: Outcome;
    try {
      const reply = await target.execute(request);
      outcome = { kind: 'ok', ...reply };
      this.noteRevision(reply.revision);
    } catch (error) {
      const refusal = target.refusalOf(error);
      outcome =
        refusal === undefined
          ? { kind: 'unknown', error: textOf(error) }
          : { kind: 'failed', error: refusal };
    }
    this.#operations.push({ client, request, called, returned: this.moment(), outcome });
    return outcome;
  }

  /** What happened without a client, in the place of a request. */
  note(operation: Operation): void {
    this.#operations.push(operation);
  }

  noteRevision(revision: number): void {
    this.#highestRevision = Math.max(this.#highestRevision, revision);
  }

  beginWatch(client: string, request: WatchRequest): WatchRecording {
    const recording = new WatchRecording(this, client, request);
    this.#watches.push(recording);
    return recording;
  }

  history(command: string): History {
    const watches = this.#watches.map((each) => each.watch());
    return { command, operations: [...this.#operations], watches };
  }
}

export class WatchRecording {
  readonly #recorder: Recorder;
  readonly #client: string;
  readonly #request: WatchRequest;
  readonly #opened: Moment;
  #created: Watch['created'] = undefined;
  readonly #responses: WatchResponse[] = [];
  #end: WatchEnd | undefined = undefined;

  constructor(recorder: Recorder, client: string, request: WatchRequest) {
    this.#recorder = recorder;
    this.#client = client;
    this.#request = request;
    this.#opened = recorder.moment();
  }

  get isCreated(): boolean {
    return this.#created !== undefined;
  }

  onCreated(revision: number): void {
    this.#created = { at: this.#recorder.moment(), revision };
  }

  onResponse(response: Omit<WatchResponse, 'at'>): void {
    this.#responses.push({ at: this.#recorder.moment(), ...response });
    this.#recorder.noteRevision(response.revision);
  }

  onEnd(end: EndOf<WatchEnd>): void {
    this.#end = { ...end, at: this.#recorder.moment() };
  }

  watch(): Watch {
    return {
      client: this.#client,
      request: this.#request,
      opened: this.#opened,
      created: this.#created,
      responses: [...this.#responses],
      end: this.#end,
    };
  }
}

type EndOf<End> = End extends WatchEnd ? Omit<End, 'at'> : never;

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
