// The cluster behind a proxy: one channel for all clients, and how a call of a client becomes one of ours.

import type { Clock, Timers } from '../../env/index.ts';
import type { CallOptions, Channel } from '../../grpc/index.ts';
import { STATUS } from '../../grpc/index.ts';
import type { Call, RpcStatus } from '../../rpc/index.ts';
import { passedMetadata } from './passed-metadata.ts';

interface UpstreamOptions {
  readonly channel: Channel;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  /** Largest request that is passed on. */
  readonly sendBytesMax: number;
}

export class Upstream {
  readonly channel: Channel;
  readonly timers: Timers;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #sendBytesMax: number;

  constructor({ channel, clock, timers, sendBytesMax }: UpstreamOptions) {
    this.channel = channel;
    this.timers = timers;
    this.#clock = clock;
    this.#sendBytesMax = sendBytesMax;
  }

  /** Metadata and the rest of the time of a client's call; read once, when it is passed on. */
  optionsOf(call: Call): CallOptions {
    const metadata = passedMetadata(call.metadata);
    const timeoutMs = call.deadlineMs - this.#clock.monotonicMs();
    if (timeoutMs === Number.POSITIVE_INFINITY) return metadata === undefined ? NONE : { metadata };
    return { timeoutMs: Math.max(timeoutMs, 0), ...(metadata === undefined ? {} : { metadata }) };
  }

  /** Why a request is not passed on, if it is too large. */
  sizeRefusal(bytes: Uint8Array): RpcStatus | undefined {
    const limit = this.#sendBytesMax;
    if (bytes.length <= limit) return undefined;
    const message = `trying to send message larger than max (${bytes.length} vs. ${limit})`;
    return { status: STATUS.RESOURCE_EXHAUSTED, message };
  }
}

const NONE: CallOptions = {};
