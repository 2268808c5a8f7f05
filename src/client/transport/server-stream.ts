// A streamed response as an async iterable, with a bounded buffer beyond which the stream is paused.

import type { CallStatus, ClientStream } from '../../grpc/index.ts';
import { STATUS } from '../../grpc/index.ts';
import type { MethodDescriptor } from '../../protocol/index.ts';
import { checkCallOptions } from '../arguments.ts';
import { errorOfStatus } from '../errors.ts';
import { STREAM_BUFFER_MESSAGES_MAX, TOKEN_RENEWALS_MAX } from '../limits.ts';
import type { CallOptions } from '../options.ts';
import type { Calls } from './calls.ts';

/**
 * Yields each message; ends when the server ends with OK, throws when it ends otherwise. Leaving the
 * loop early cancels the call.
 */
export async function* serverStream<Request, RequestInit, Response, ResponseInit>(
  calls: Calls,
  method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
  request: Request,
  options: CallOptions,
): AsyncGenerator<Response, void, undefined> {
  checkCallOptions(options);
  const { clock } = calls.runtime;
  const { signal, timeoutMs = Number.POSITIVE_INFINITY } = options;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  for (let renewals = 0; ; renewals++) {
    signal?.throwIfAborted();
    await calls.obtainToken({ signal, timeoutMs: deadlineMs - clock.monotonicMs() });
    const token = calls.tokens.current;
    const left = { signal, timeoutMs: Math.max(0, deadlineMs - clock.monotonicMs()) };
    let isBegun = false;
    try {
      for await (const message of messages(calls, method, request, left)) {
        isBegun = true;
        yield message;
      }
      return;
    } catch (error) {
      if (isBegun || renewals >= TOKEN_RENEWALS_MAX) throw error;
      if (!calls.tokens.refresh(error, token, renewals === 0)) throw error;
    }
  }
}

/** The messages of one call, with the current token. */
async function* messages<Request, RequestInit, Response, ResponseInit>(
  calls: Calls,
  method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
  request: Request,
  { signal, timeoutMs }: { readonly signal: AbortSignal | undefined; readonly timeoutMs: number },
): AsyncGenerator<Response, void, undefined> {
  const waiting: Response[] = [];
  let ended: CallStatus | undefined;
  let failure: unknown;
  let wake: (() => void) | undefined;
  let stream: ClientStream | undefined;
  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  const handler = {
    onMessage: (bytes: Uint8Array): void => {
      try {
        waiting.push(method.response.decode(Uint8Array.from(bytes)));
      } catch (error) {
        failure ??= error;
        stream?.cancel();
      }
      if (waiting.length >= STREAM_BUFFER_MESSAGES_MAX) stream?.pause();
      notify();
    },
    onStatus: (status: CallStatus): void => {
      ended = status;
      notify();
    },
    onDrain: (): void => {},
  };
  const onAbort = (): void => stream?.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    stream = calls.stream(method.path, handler, { timeoutMs });
    stream.write(method.request, request);
    stream.end();
    for (;;) {
      const next = waiting.shift();
      if (next !== undefined) {
        if (waiting.length === 0) stream.resume();
        yield next;
      } else if (ended !== undefined) {
        signal?.throwIfAborted();
        if (failure !== undefined) throw failure;
        if (ended.code !== STATUS.OK) throw errorOfStatus(ended);
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    if (ended === undefined) stream?.cancel();
  }
}
