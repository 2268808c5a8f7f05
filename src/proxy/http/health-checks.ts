// Whether the cluster, and the proxy with it, answer.

import { bytesFromUtf8 } from '../../base/index.ts';
import type { Clock, Timers } from '../../env/index.ts';
import {
  BYTES_ENCODER,
  type Channel,
  EMPTY_METADATA,
  GrpcStatusError,
  STATUS,
} from '../../grpc/index.ts';
import { etcdErrorOfMessage, etcdserverpb } from '../../protocol/index.ts';
import type { LocalCalls, LocalStream } from '../../rpc/index.ts';
import { HEALTH_TIMEOUT_MS, HEALTH_WATCH_TIMEOUT_MS } from '../limits.ts';
import type { HealthCheck } from './proxy-http.ts';

const { RangeRequestCodec, WatchRequestCodec } = etcdserverpb;
const rangePath = etcdserverpb.KVService.methods.range.path;
const watchPath = etcdserverpb.WatchService.methods.watch.path;

/** Any key: whether it is there does not matter. */
const KEY = bytesFromUtf8('a');
const READ = RangeRequestCodec.encode(RangeRequestCodec.create({ key: KEY }));
const WATCH = WatchRequestCodec.encode(
  WatchRequestCodec.create({
    requestUnion: {
      case: 'createRequest',
      value: etcdserverpb.WatchCreateRequestCodec.create({ key: KEY }),
    },
  }),
);

/** Who asks. */
const NOBODY = {
  peer: { address: '@', encrypted: false, certificate: undefined },
  metadata: EMPTY_METADATA,
  caller: undefined,
};

interface HealthEnv {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** A linearizable read. */
export function clusterCheck(channel: Channel): HealthCheck {
  return () =>
    reasonOf(() =>
      channel.request(rangePath, BYTES_ENCODER, READ, { timeoutMs: HEALTH_TIMEOUT_MS }),
    );
}

/** The same through the proxy's own services, and a watch that opens. */
export function proxyCheck(calls: LocalCalls, { clock, timers }: HealthEnv): HealthCheck {
  return async () => {
    const deadlineMs = clock.monotonicMs() + HEALTH_TIMEOUT_MS;
    const context = { ...NOBODY, deadlineMs };
    const reason = await reasonOf(() => calls.unary(rangePath, READ, context));
    if (reason !== undefined) return reason;
    return (await watchOpens(calls, timers)) ? undefined : 'WATCH TIMEOUT';
  };
}

async function reasonOf(read: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await read();
    return undefined;
  } catch (error) {
    if (!(error instanceof GrpcStatusError)) throw error;
    if (isAnswered(error)) return undefined;
    const isLate = error.code === STATUS.DEADLINE_EXCEEDED;
    return `GET ERROR:${isLate ? 'context deadline exceeded' : error.details}`;
  }
}

/** A member that refuses to let anybody read it is in order. */
function isAnswered({ details }: GrpcStatusError): boolean {
  const name = etcdErrorOfMessage(details);
  return name === 'PERMISSION_DENIED' || name === 'USER_EMPTY';
}

function watchOpens(calls: LocalCalls, timers: Timers): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = timers.after(HEALTH_WATCH_TIMEOUT_MS, () => settle(false));
    const stream: LocalStream = calls.stream(
      watchPath,
      { onMessage: () => settle(true), onEnd: () => settle(false) },
      { ...NOBODY, deadlineMs: Number.POSITIVE_INFINITY },
    );
    const settle = (opens: boolean): void => {
      timer.cancel();
      resolve(opens);
      stream.cancel();
    };
    stream.send(WATCH);
  });
}
