// Fan-out: many watchers on one prefix, then events; counts what arrives.

import { LoadConnection, type Slot } from './connection.ts';
import { cpuMicroseconds } from './process-stats.ts';
import { grpcMessage, makeWorkload, NAMESPACE, NOW } from './workloads.ts';

export interface WatchOptions {
  readonly endpoint: string;
  readonly pid: number;
  readonly connections: number;
  readonly watchersPerConnection: number;
  readonly events: number;
}

export interface WatchResult {
  /** Events times watchers. */
  readonly delivered: number;
  readonly seconds: number;
  readonly serverCpuUs: number;
  readonly loaderCpuUs: number;
}

const TAG_CREATED = 0x18;
const TAG_EVENTS = 0x5a;
const PUTS_AT_A_TIME = 10;

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
  const slot: Slot = {
    wantsMessages: true,
    onMessage: (message) => {
      scan(message, counts);
      if (counts.created === watchers || counts.events >= watchers * events) wake();
    },
    onEnd: (status, text) => fail(new Error(`a watch stream ended: ${status} ${text}`)),
  };
  const open: LoadConnection[] = [];
  for (let i = 0; i < connections; i++) {
    const connection = await LoadConnection.open(
      options.endpoint,
      '/etcdserverpb.Watch/Watch',
      fail,
    );
    open.push(connection);
    const stream = connection.open(slot);
    const create = { key: NAMESPACE(0), range_end: NAMESPACE(0).replace(/\/$/, '0') };
    const message = grpcMessage('WatchRequest', { create_request: create });
    for (let j = 0; j < watchersPerConnection; j++) connection.send(stream, message);
    connection.flush();
  }
  await reached(() => counts.created === watchers);
  const cpuBefore = cpuMicroseconds(options.pid);
  const ownBefore = process.cpuUsage();
  const startedAt = performance.now();
  await putAll(options, fail);
  await reached(() => counts.events >= watchers * events);
  const seconds = (performance.now() - startedAt) / 1000;
  const own = process.cpuUsage(ownBefore);
  const serverCpuUs = cpuMicroseconds(options.pid) - cpuBefore;
  for (const connection of open) connection.close();
  const delivered = counts.events;
  return { delivered, seconds, serverCpuUs, loaderCpuUs: own.user + own.system };
}

/** Puts of keys below the watched prefix, a few at a time. */
async function putAll(options: WatchOptions, fail: (error: Error) => void): Promise<void> {
  const { endpoint, events } = options;
  // Ten keys only, all of namespace 0 as `keyOf` numbers them.
  const workload = makeWorkload({ name: 'put', keys: 1, requests: 50, seed: 1, ...NOW });
  const connection = await LoadConnection.open(endpoint, workload.path, fail);
  let started = 0;
  let ended = 0;
  await new Promise<void>((resolve) => {
    const slot: Slot = {
      wantsMessages: false,
      onMessage: () => {},
      onEnd: (status, text) => {
        if (status !== 0) fail(new Error(`a put failed: ${status} ${text}`));
        ended++;
        if (ended === events || status !== 0) resolve();
        else next();
      },
    };
    const next = (): void => {
      if (started < events) connection.call(workload.messages[started++ % 50]!, slot);
    };
    for (let i = 0; i < PUTS_AT_A_TIME; i++) next();
    connection.flush();
  });
  connection.close();
}
