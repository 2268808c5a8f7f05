// grpc.health.v1.Health: whether this member serves. The service without a name is the whole member.

import { type Server, STATUS, type StreamCall, type StreamHandler } from '../../grpc/index.ts';
import { health } from '../../protocol/index.ts';
import { endMalformed, failMalformed } from './reply.ts';

const { HealthService, HealthCheckRequestCodec } = health;
const methods = HealthService.methods;
const SERVING = 1;
const SERVICE_UNKNOWN = 3;

export function registerHealthService(server: Server): void {
  server.unary(methods.check.path, (call, bytes) => {
    let service: string;
    try {
      ({ service } = HealthCheckRequestCodec.decodeRequest(bytes));
    } catch (error) {
      failMalformed(call, error);
      return;
    }
    if (service === '') call.reply(methods.check.response, { status: SERVING });
    else call.fail(STATUS.NOT_FOUND, 'unknown service');
  });
  server.unary(methods.list.path, (call) =>
    call.reply(methods.list.response, { statuses: new Map([['', { status: SERVING }]]) }),
  );
  server.serverStream(methods.watch.path, (call) => new HealthWatch(call));
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
