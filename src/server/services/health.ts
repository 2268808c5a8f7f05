// grpc.health.v1.Health: whether this member serves. The service without a name is the whole member.

import { STATUS, type StreamHandler } from '../../grpc/index.ts';
import { health } from '../../protocol/index.ts';
import {
  endMalformed,
  type MethodTraits,
  type ServiceTable,
  type StreamCall,
} from '../../rpc/index.ts';
import type { Logger } from '../telemetry/log.ts';

const { HealthService, HealthCheckRequestCodec, ServingStatus } = health;
const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = ServingStatus;
const methods = HealthService.methods;

/** Health is served by every member, always, to everybody. */
const ALWAYS: MethodTraits = {
  access: 'everybody',
  servedByLearner: true,
  servedWithoutLeader: true,
};

/** Whether the member serves, with its watchers. */
export class ServingState {
  readonly #log: Logger;
  #isServing = true;
  /** Bounded by the streams that clients may open. */
  readonly #watches = new Set<() => void>();

  constructor(log: Logger) {
    this.#log = log;
  }

  get value(): number {
    return this.#isServing ? SERVING : NOT_SERVING;
  }

  start(): void {
    this.#log.info('grpc service status changed', { service: '', status: 'SERVING' });
    this.#change(true);
  }

  stop(reason: string): void {
    const fields = { service: '', status: 'NOT_SERVING', reason };
    this.#log.warn('grpc service status changed', fields);
    this.#change(false);
  }

  /** Calls `onChange` at each change until the returned function is called. */
  follow(onChange: () => void): () => void {
    this.#watches.add(onChange);
    return () => this.#watches.delete(onChange);
  }

  #change(isServing: boolean): void {
    if (this.#isServing === isServing) return;
    this.#isServing = isServing;
    for (const onChange of this.#watches) onChange();
  }
}

export function registerHealthService(table: ServiceTable, serving: ServingState): void {
  table.unary(
    methods.check,
    (call, { service }) => {
      if (service === '') call.reply(methods.check.response, { status: serving.value });
      else call.fail(STATUS.NOT_FOUND, 'unknown service');
    },
    ALWAYS,
  );
  table.unary(
    methods.list,
    (call) => {
      const statuses = new Map([['', { status: serving.value }]]);
      call.reply(methods.list.response, { statuses });
    },
    ALWAYS,
  );
  table.stream(methods.watch, (call) => new HealthWatch(call, serving), ALWAYS);
}

/** Sends the status, and each change of it. */
class HealthWatch implements StreamHandler {
  readonly #call: StreamCall;
  readonly #serving: ServingState;
  #unfollow: (() => void) | undefined;
  /** The status sent last. */
  #sent: number | undefined;
  #isFull = false;

  constructor(call: StreamCall, serving: ServingState) {
    this.#call = call;
    this.#serving = serving;
  }

  onMessage(message: Uint8Array): void {
    let service: string;
    try {
      ({ service } = HealthCheckRequestCodec.decodeRequest(message));
    } catch (error) {
      endMalformed(this.#call, error);
      return;
    }
    if (service !== '') {
      this.#call.write(methods.watch.response, { status: SERVICE_UNKNOWN });
      return;
    }
    this.#unfollow ??= this.#serving.follow(() => this.#send());
    this.#send();
  }

  onEnd(): void {
    // The stream stays open: the client waits for changes.
  }

  onCancel(): void {
    this.#unfollow?.();
  }

  onDrain(): void {
    this.#isFull = false;
    if (this.#unfollow !== undefined) this.#send();
  }

  /** Sends the current status; changes while the client does not read are skipped. */
  #send(): void {
    const status = this.#serving.value;
    if (this.#isFull || status === this.#sent) return;
    this.#sent = status;
    this.#isFull = !this.#call.write(methods.watch.response, { status });
  }
}
