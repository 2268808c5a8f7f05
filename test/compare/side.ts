// One of the two servers of the comparison: sends operations, keeps what its watches delivered, and
// rewrites replies so that ids and times, which may differ, compare equal.

import { ApiClient, type ApiStream, type Message, type Reply, type Value } from '../helpers/api.ts';
import type { Operation } from './operations.ts';

/** A watch that the server accepted, with what is needed to predict its events. */
interface LiveWatch {
  readonly id: string;
  readonly matches: (event: HistoryEvent) => boolean;
  /** It starts before the last compaction: its cancellation will come. */
  readonly doomed: boolean;
  delivered: number;
}

interface HistoryEvent {
  readonly type: number;
  readonly key: string;
  readonly revision: number;
}

const WAIT_MS = 10_000;
const MARKER_ID = '800000';

type Mutable = Record<string, Value>;

const asMessage = (value: Value): Message => (value ?? {}) as Message;
const asList = (value: Value): readonly Message[] => (value ?? []) as readonly Message[];

export class Side {
  readonly name: string;
  readonly #client: ApiClient;
  #watch: ApiStream;
  readonly #history: ApiStream;
  readonly #keepAlive: ApiStream;
  readonly #leases: string[] = [];
  readonly #live = new Map<string, LiveWatch>();
  readonly #events: HistoryEvent[] = [];
  #created = 0;
  #handled = 0;
  #historyHandled = 0;
  #watchLog: Message[] = [];
  #requests: Message[] = [];
  revision = 1;
  compacted = 0;

  constructor(name: string, endpoint: string) {
    this.name = name;
    this.#client = new ApiClient(endpoint);
    this.#watch = this.#client.stream('Watch/Watch');
    this.#history = this.#client.stream('Watch/Watch');
    this.#history.send({ create_request: { key: '\0', range_end: '\0', start_revision: '1' } });
    this.#keepAlive = this.#client.stream('Lease/LeaseKeepAlive');
  }

  close(): void {
    this.#watch.cancel();
    this.#history.cancel();
    this.#keepAlive.cancel();
    this.#client.close();
  }

  /** The reply, rewritten for comparison. Watch operations give their first response. */
  async perform(operation: Operation): Promise<Value> {
    switch (operation.kind) {
      case 'call':
        return this.#call(operation.rpc, operation.request);
      case 'raw':
        return this.#raw(operation);
      case 'hash':
        return this.#call('Maintenance/HashKV', { revision: operation.revision });
      case 'keepAlive':
        return this.#keepAliveOnce(operation.request);
      case 'watch':
        return this.#sendWatch(operation.request);
    }
  }

  /** Waits until every live watch has delivered what history says; false after a time limit. */
  async settle(): Promise<boolean> {
    const caughtUp = (): boolean => {
      this.#readHistory();
      return (this.#events.at(-1)?.revision ?? 1) >= this.revision;
    };
    if (!(await this.#history.until(caughtUp, WAIT_MS))) return false;
    return this.#watch.until(() => {
      this.#readWatch();
      for (const watch of this.#live.values()) {
        if (watch.doomed || watch.delivered < this.#events.filter(watch.matches).length)
          return false;
      }
      return true;
    }, WAIT_MS);
  }

  /** What the watches delivered since the last call, by watch id and in order. */
  takeWatchLog(): Value {
    this.#readWatch();
    const byId: Record<string, Message[]> = {};
    for (const entry of this.#watchLog.splice(0)) {
      // A refusal bears the id -1, which a watch may have too.
      const refused = entry['created'] === true && entry['canceled'] === true;
      const id = refused ? 'refused' : String(entry['watch_id']);
      byId[id] ??= [];
      byId[id].push(entry);
    }
    return byId;
  }

  /** What is left open, for a failure's text. */
  describeWatches(): string {
    const lines = [...this.#live.values()].map((watch) => {
      const expected = this.#events.filter(watch.matches).length;
      return `watch ${watch.id}: ${watch.delivered} of ${expected} events`;
    });
    const ended =
      this.#watch.ended === undefined ? '' : ` ended ${JSON.stringify(this.#watch.ended)}`;
    return `${this.name}: revision ${this.revision}${ended}\n${lines.join('\n')}`;
  }

  async #call(rpc: string, request: Message): Promise<Value> {
    const reply = await this.#client.call(rpc, request);
    const message = reply.message;
    if (message !== undefined) {
      const revision = Number(asMessage(message['header'])['revision'] ?? 0);
      if (revision > this.revision) this.revision = revision;
      if (rpc === 'Lease/LeaseGrant' && request['ID'] === '0') {
        this.#leases.push(String(message['ID']));
      }
      if (rpc === 'KV/Compact') this.compacted = Number(request['revision']);
    }
    return this.#rewriteReply(rpc, reply);
  }

  async #raw(operation: { readonly rpc: string; readonly bytes: string }): Promise<Value> {
    const bytes = Buffer.from(operation.bytes, 'latin1');
    const reply = await this.#client.callRaw(operation.rpc, bytes);
    const revision = Number(asMessage(reply.message?.['header'])['revision'] ?? 0);
    if (revision > this.revision) this.revision = revision;
    // The text after the code names positions within the decoder of the language at hand.
    if (reply.message === undefined) return { outcome: `${reply.code}` };
    return this.#rewriteReply(operation.rpc, reply);
  }

  #rewriteReply(rpc: string, reply: Reply): Value {
    if (reply.message === undefined) return { outcome: `${reply.code} ${reply.details}` };
    const message: Mutable = { ...(this.#rewrite(reply.message) as Message) };
    if (rpc === 'Lease/LeaseTimeToLive') {
      message['keys'] = [...(message['keys'] as readonly string[])].sort();
    }
    if (rpc === 'Lease/LeaseLeases') {
      const byId = (a: Message, b: Message): number => (String(a['ID']) < String(b['ID']) ? -1 : 1);
      message['leases'] = [...asList(message['leases'])].sort(byId);
    }
    return { outcome: 'ok', message };
  }

  async #keepAliveOnce(request: Message): Promise<Value> {
    const before = this.#keepAlive.received.length;
    this.#keepAlive.send(request);
    await this.#keepAlive.until(() => this.#keepAlive.received.length > before, WAIT_MS);
    const message = this.#keepAlive.received[before];
    if (message === undefined) return { ended: this.#keepAlive.ended ?? 'no answer' };
    return { message: this.#rewrite(message) };
  }

  async #sendWatch(request: Message): Promise<Value> {
    const create = request['create_request'] as Message | undefined;
    const cancel = request['cancel_request'] as Message | undefined;
    this.#watch.send(request);
    if (create !== undefined) {
      this.#requests.push(create);
      const wanted = this.#created + 1;
      const answered = await this.#watch.until(() => {
        this.#readWatch();
        return this.#created >= wanted;
      }, WAIT_MS);
      if (!answered) return { ended: this.#watch.ended ?? 'no answer' };
    } else if (cancel !== undefined) {
      const id = String(cancel['watch_id']);
      if (this.#live.has(id)) {
        await this.#watch.until(() => {
          this.#readWatch();
          return !this.#live.has(id);
        }, WAIT_MS);
      } else if (id !== MARKER_ID) {
        // It may be answered or not; the answers to what follows it tell that it would be here.
        await this.#sendWatch({ create_request: { key: 'marker', watch_id: MARKER_ID } });
        await this.#sendWatch({ cancel_request: { watch_id: MARKER_ID } });
      }
    }
    return {};
  }

  #readHistory(): void {
    const received = this.#history.received;
    for (; this.#historyHandled < received.length; this.#historyHandled++) {
      for (const event of asList(received[this.#historyHandled]!['events'])) {
        const pair = asMessage(event['kv']);
        this.#events.push({
          type: Number(event['type']),
          key: String(pair['key']),
          revision: Number(pair['mod_revision']),
        });
      }
    }
  }

  #readWatch(): void {
    const received = this.#watch.received;
    for (; this.#handled < received.length; this.#handled++) this.#note(received[this.#handled]!);
  }

  #note(response: Message): void {
    const id = String(response['watch_id']);
    const events = asList(response['events']);
    if (response['created'] === true) {
      this.#created++;
      const request = this.#requests.shift()!;
      if (response['canceled'] !== true) this.#watchStarts(id, request, response);
    } else if (response['canceled'] === true) this.#live.delete(id);
    const { header, events: _events, fragment: _fragment, ...state } = response;
    const isProgress = events.length === 0 && !response['created'] && !response['canceled'];
    // When a progress notification comes depends on time; batching of events may differ too.
    if (isProgress) return;
    if (events.length === 0) this.#watchLog.push(this.#rewrite({ ...state }) as Message);
    const live = this.#live.get(id);
    for (const event of events) {
      if (live !== undefined) live.delivered++;
      const newest = Number(asMessage(event['kv'])['mod_revision']);
      const stale = newest > Number(asMessage(header)['revision']);
      const item: Mutable = { watch_id: id, event: this.#rewrite(event) };
      if (stale) item['problem'] = 'an event newer than its header';
      if (live === undefined) item['problem'] = 'an event of a watch that is not open';
      this.#watchLog.push(item);
    }
  }

  #watchStarts(id: string, request: Message, response: Message): void {
    const key = request['key'] === '' ? '\0' : String(request['key']);
    const end = String(request['range_end'] ?? '');
    const asked = Number(request['start_revision'] ?? 0);
    const start = asked === 0 ? Number(asMessage(response['header'])['revision']) + 1 : asked;
    const filters = (request['filters'] ?? []) as readonly number[];
    const inRange = (one: string): boolean =>
      end === '' ? one === key : one >= key && (end === '\0' || one < end);
    const doomed = start < Math.max(1, this.compacted);
    const matches = (event: HistoryEvent): boolean =>
      event.revision >= start && inRange(event.key) && !filters.includes(event.type);
    this.#live.set(id, { id, matches, doomed, delivered: 0 });
  }

  /** Lease ids of the server's choice become `@n`; other ids and all sizes a constant. */
  #rewrite(value: Value, name = ''): Value {
    if (typeof value === 'string' && (name === 'lease' || name === 'ID')) {
      const index = this.#leases.indexOf(value);
      return index < 0 ? value : `@${index}`;
    }
    if (name === 'cluster_id' || name === 'member_id') return value === '0' ? '0' : 'id';
    if (name === 'leader') return 'id';
    if (name === 'members') return asList(value).length;
    if (name === 'dbSize' || name === 'dbSizeInUse') return 'size';
    return mapValues(value, (one, field) => this.#rewrite(one, field));
  }
}

function mapValues(value: Value, change: (value: Value, name: string) => Value): Value {
  if (Array.isArray(value)) return value.map((one: Value) => change(one, ''));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, change(one, name)]));
}
