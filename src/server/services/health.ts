// grpc.health.v1.Health: whether this member serves. The service without a name is the whole member.

import { STATUS, type StreamHandler } from '../../grpc/index.ts';
import { health } from '../../protocol/index.ts';
import {
  endMalformed,
  type MethodTraits,
  type ServiceTable,
  type StreamCall,
} from '../../rpc/index.ts';

const { HealthService, HealthCheckRequestCodec } = health;
const methods = HealthService.methods;
const SERVING = 1;
const SERVICE_UNKNOWN = 3;

/** How a member is doing is told by any, at any time. */
const ALWAYS: MethodTraits = { servedByLearner: true, servedWithoutLeader: true };

export function registerHealthService(table: ServiceTable): void {
  table.unary(
    methods.check,
    (call, { service }) => {
      if (service === '') call.reply(methods.check.response, { status: SERVING });
      else call.fail(STATUS.NOT_FOUND, 'unknown service');
    },
    ALWAYS,
  );
  table.unary(
    methods.list,
    (call) => call.reply(methods.list.response, { statuses: new Map([['', { status: SERVING }]]) }),
    ALWAYS,
  );
  table.stream(methods.watch, (call) => new HealthWatch(call), ALWAYS);
}

/** Tells the status once; it does not change while the member runs. */
class HealthWatch implements StreamHandler {
  readonly #call: StreamCall;

  constructor(call: StreamCall) {
    this.#call = call;
  }

  onMessage(message: Uint8Array): void {
    let service: string;
    try {
      ({ service } = HealthCheckRequestCodec.decodeRequest(message));
    } catch (error) {
      endMalformed(this.#call, error);
      return;
    }
    this.#call.write(methods.watch.response, {
      status: service === '' ? SERVING : SERVICE_UNKNOWN,
    });
  }

  onEnd(): void {
    // The stream stays open: the client waits for changes.
  }

  onCancel(): void {
    // Nothing is held.
  }

  onDrain(): void {
    // One message is all there is.
  }
}
