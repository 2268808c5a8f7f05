// The truth about the keys, as one member tells it: every change from revision 2 on, by a watch that
// is taken up again whatever happens to that member. Several collectors together know everything
// even if one of them misses what a compaction took away.

import { type Change, ChangeLog } from '../../sim/check/change-log.ts';
import { pause } from '../cluster/until.ts';
import { ApiClient, type ApiStream, type Message } from '../helpers/api.ts';

const ALL = { key: '\0', range_end: '\0' } as const;
const RETRY_MS = 100;
const SILENCE_MS_MAX = 60_000;

interface Segment {
  readonly first: number;
  readonly changes: Change[];
}

export class ChangeCollector {
  /** What cannot be: events that leave revisions out. */
  readonly wrong: string[] = [];
  /** Every change up to this revision is collected, or lies before a segment. */
  last = 1;
  readonly #name: string;
  readonly #client: ApiClient;
  readonly #segments: Segment[] = [{ first: 2, changes: [] }];
  #ends: number[] = [];
  #stream: ApiStream | undefined;
  #stopping = false;
  readonly #running: Promise<void>;

  constructor(name: string, endpoint: string) {
    this.#name = name;
    this.#client = new ApiClient(endpoint);
    this.#running = this.#run();
  }

  /** One log for each part without a gap. */
  logs(): ChangeLog[] {
    const ends = [...this.#ends, this.last];
    return this.#segments
      .map(({ first, changes }, i) => new ChangeLog(changes, first, ends[i]!))
      .filter((log) => log.last >= log.first);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stream?.cancel();
    await this.#running;
    this.#client.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const stream = this.#client.stream('Watch/Watch');
      this.#stream = stream;
      stream.send({ create_request: { ...ALL, start_revision: String(this.last + 1) } });
      let goesOn = true;
      while (goesOn && stream.ended === undefined && !this.#stopping) {
        await stream.until(() => stream.received.length > 0, SILENCE_MS_MAX);
        for (const response of stream.received.splice(0)) goesOn &&= this.#take(response);
      }
      stream.cancel();
      if (!this.#stopping) await pause(RETRY_MS);
    }
  }

  /** False when the watch has ended. */
  #take(response: Message): boolean {
    if (response['canceled'] === true) {
      const compacted = Number(response['compact_revision']);
      if (compacted > this.last) {
        this.#ends.push(this.last);
        this.last = compacted;
        this.#segments.push({ first: compacted + 1, changes: [] });
      }
      return false;
    }
    const { changes } = this.#segments.at(-1)!;
    let newest = this.last;
    for (const event of response['events'] as readonly Message[]) {
      const change = changeOf(event);
      // Repetitions are for the recorded watches to find.
      if (change.revision <= this.last) continue;
      if (change.revision > newest + 1) {
        this.wrong.push(`${this.#name}: an event of ${change.revision} follows one of ${newest}`);
      }
      newest = Math.max(newest, change.revision);
      changes.push(change);
    }
    this.last = newest;
    return true;
  }
}

function changeOf(event: Message): Change {
  const pair = event['kv'] as Message;
  const revision = Number(pair['mod_revision']);
  const key = String(pair['key']);
  if (event['type'] === 1) {
    return { revision, key, value: undefined, createRevision: 0, version: 0, lease: '0' };
  }
  return {
    ...{ revision, key, value: String(pair['value']) },
    createRevision: Number(pair['create_revision']),
    version: Number(pair['version']),
    lease: BigInt.asUintN(64, BigInt(String(pair['lease']))).toString(),
  };
}
