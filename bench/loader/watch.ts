// Fan-out: many watchers on one prefix, then events; counts what arrives.
//
// Paced, every watcher is sent every event by itself. In a burst a server that falls behind may send
// many events in one message.

import { LoadConnection, type Slot } from './connection.ts';
import { cpuMicrosecondsOf } from './process-stats.ts';
import type { Target } from './target.ts';
import { grpcMessage, makeWorkload, NAMESPACE, NOW } from './workloads.ts';

export interface WatchOptions extends Target {
  readonly pids: readonly number[];
  readonly connections: number;
  readonly watchersPerConnection: number;
  /** Measured, after a fifth as many that are not. */
  readonly events: number;
  /** The next put only when the last event has reached every watcher; else ten puts at a time. */
  readonly paced: boolean;
}

export interface WatchResult {
  /** Events times watchers, while it was measured. */
  readonly delivered: number;
  /** How much the revision must have risen. */
  readonly raised: number;
  readonly seconds: number;
  readonly serverCpuUs: number;
  readonly loaderCpuUs: number;
}

const TAG_CREATED = 0x18;
const TAG_EVENTS = 0x5a;
const PUTS_IN_A_BURST = 10;

/** Counts the events and `created` flags of a WatchResponse without decoding it. */
function scan(message: Buffer, counts: { created: number; events: number }): void {
  let at = 0;
  while (at < message.length) {
    const tag = message[at++]!;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (tag === TAG_CREATED && value === 1) counts.created++;
    if (tag === TAG_EVENTS) counts.events++;
    if ((tag & 7) === 2) at += value;
  }
}

export async function runWatch(options: WatchOptions): Promise<WatchResult> {
  const { connections, watchersPerConnection, events } = options;
  const watchers = connections * watchersPerConnection;
  const counts = { created: 0, events: 0 };
  let failure: Error | undefined;
  let wake: () => void = () => {};
  const fail = (error: Error): void => {
    failure ??= error;
    wake();
  };
  const reached = async (done: () => boolean): Promise<void> => {
    while (!done() && failure === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== undefined) throw failure;
  };
  // What has to be there before a waiter is woken: created watches first, then events.
  let wantedEvents = Number.POSITIVE_INFINITY;
  const slot: Slot = {
    wantsMessages: true,
    onMessage: (message) => {
      scan(message, counts);
      if (counts.events >= wantedEvents || counts.created === watchers) wake();
    },
    onEnd: (status, text) => fail(new Error(`a watch stream ended: ${status} ${text}`)),
  };
  const open: LoadConnection[] = [];
  for (let i = 0; i < connections; i++) {
    const connection = await LoadConnection.open(options, '/etcdserverpb.Watch/Watch', fail);
    open.push(connection);
    const stream = connection.open(slot);
    const create = { key: NAMESPACE(0), range_end: NAMESPACE(0).replace(/\/$/, '0') };
    const message = grpcMessage('WatchRequest', { create_request: create });
    for (let j = 0; j < watchersPerConnection; j++) connection.send(stream, message);
    connection.flush();
  }
  await reached(() => counts.created === watchers);
  const putting = await LoadConnection.open(options, PUT_PATH, fail);
  let raised = 0;
  const deliver = async (count: number): Promise<void> => {
    const step = options.paced ? 1 : count;
    for (let done = 0; done < count; done += step) {
      raised += step;
      wantedEvents = raised * watchers;
      putSome(putting, step, options.paced ? 1 : PUTS_IN_A_BURST, fail);
      await reached(() => counts.events >= wantedEvents);
    }
  };
  await deliver(Math.ceil(events / 5));
  const before = counts.events;
  const cpuBefore = cpuMicrosecondsOf(options.pids);
  const ownBefore = process.cpuUsage();
  const startedAt = performance.now();
  await deliver(events);
  const seconds = (performance.now() - startedAt) / 1000;
  const own = process.cpuUsage(ownBefore);
  const serverCpuUs = cpuMicrosecondsOf(options.pids) - cpuBefore;
  for (const connection of [...open, putting]) connection.close();
  const delivered = counts.events - before;
  return { delivered, raised, seconds, serverCpuUs, loaderCpuUs: own.user + own.system };
}

// One key only, of namespace 0 as `keyOf` numbers them.
const PUTS = makeWorkload({ name: 'put', keys: 1, requests: 50, seed: 1, ...NOW });
const PUT_PATH = PUTS.path;

/** So many puts below the watched prefix, some at a time; does not wait for the last. */
function putSome(
  connection: LoadConnection,
  count: number,
  atATime: number,
  fail: (error: Error) => void,
): void {
  let started = 0;
  const next = (): void => {
    if (started < count) connection.call(PUTS.messages[started++ % PUTS.messages.length]!, slot);
  };
  const slot: Slot = {
    wantsMessages: false,
    onMessage: () => {},
    onEnd: (status, text) => {
      if (status === 0) next();
      else fail(new Error(`a put failed: ${status} ${text}`));
    },
  };
  for (let i = 0; i < atATime; i++) next();
  connection.flush();
}
