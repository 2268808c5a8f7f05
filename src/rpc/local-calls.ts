// Calls of the table inside this process, by another service or a page, without HTTP/2. Guards and
// handlers are the same as for remote clients.

import { GrpcStatusError, STATUS } from '../grpc/index.ts';
import type { Call, UnaryCall } from './call.ts';
import {
  type CallMeter,
  type LocalCall,
  type LocalContext,
  type LocalEnv,
  LocalUnaryCall,
} from './local-call.ts';
import { type LocalStream, LocalStreamCall, type LocalStreamListener } from './local-stream.ts';
import type { ServiceTable, StreamEntry, UnaryEntry } from './service-table.ts';

interface LocalCallsOptions {
  readonly table: ServiceTable;
  readonly env: LocalEnv;
  /** A handler threw; the call has been answered INTERNAL. */
  readonly onHandlerError: (call: Call, error: unknown) => void;
  /** Where calls are counted; those that a service makes are a part of the call that it serves. */
  readonly meter?: CallMeter;
}

export class LocalCalls {
  readonly #options: LocalCallsOptions;

  constructor(options: LocalCallsOptions) {
    this.#options = options;
  }

  /**
   * Calls a unary method with an encoded request and resolves to the encoded response. Rejects with a
   * GrpcStatusError for any status but OK; UNIMPLEMENTED if the table has no such method.
   */
  unary(path: string, request: Uint8Array, context: LocalContext): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const entry = this.#entry(path, true);
      this.serve(
        entry,
        new LocalUnaryCall(path, context, this.#options.env, { resolve, reject }),
        request,
      );
    });
  }

  /** Has a call that its maker takes the answer of served; it may be answered when this returns. */
  serve(entry: UnaryEntry, call: LocalCall & UnaryCall, request: Uint8Array): void {
    if (!call.begin(this.#options.meter)) return;
    call.countReceived(request.length);
    try {
      entry.serve(call, request);
    } catch (error) {
      this.failed(call, error);
    }
  }

  /** Ends a call whose handler threw, when it was called or while its answer was made. */
  failed(call: LocalCall & UnaryCall, error: unknown): void {
    this.#options.onHandlerError(call, error);
    call.fail(STATUS.INTERNAL, 'internal error');
  }

  /**
   * Opens a stream; the listener's `onEnd` may be called before this returns. GrpcStatusError UNIMPLEMENTED
   * if the table has no such method.
   */
  stream(path: string, listener: LocalStreamListener, context: LocalContext): LocalStream {
    const { env, onHandlerError, meter } = this.#options;
    const entry = this.#entry(path, false);
    return new LocalStreamCall(entry, listener, context, env, onHandlerError).open(entry, meter);
  }

  #entry(path: string, unary: true): UnaryEntry;
  #entry(path: string, unary: false): StreamEntry;
  #entry(path: string, unary: boolean): UnaryEntry | StreamEntry {
    const entry = this.#options.table.get(path);
    if (entry !== undefined && (entry.kind === 'unary') === unary) return entry;
    const kind = unary ? 'unary method' : 'stream';
    throw new GrpcStatusError(STATUS.UNIMPLEMENTED, `unknown ${kind} ${path}`);
  }
}
