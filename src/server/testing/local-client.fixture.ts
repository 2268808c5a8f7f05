// Calls of a member's services from a test, as a client makes them.

import { EMPTY_METADATA, GrpcStatusError } from '../../grpc/index.ts';
import type { MethodDescriptor } from '../../protocol/index.ts';
import type { LocalContext, LocalStream } from '../../rpc/index.ts';
import type { Member } from '../member.ts';

export const CONTEXT: LocalContext = {
  peer: { address: 'in process', encrypted: true, certificate: undefined },
  metadata: EMPTY_METADATA,
  deadlineMs: Number.POSITIVE_INFINITY,
  caller: undefined,
};

/** The response, or code and text of the status. */
export async function call<Request, RequestInit, Response, ResponseInit>(
  member: Member,
  method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
  request: RequestInit,
  context: Partial<LocalContext> = {},
): Promise<Response | readonly [code: number, text: string]> {
  const bytes = method.request.encode(method.request.create(request));
  const { localCalls } = member.parts;
  try {
    return method.response.decode(
      await localCalls.unary(method.path, bytes, { ...CONTEXT, ...context }),
    );
  } catch (error) {
    if (!(error instanceof GrpcStatusError)) throw error;
    return [error.code, error.details];
  }
}

/** A stream with one request; `end` is what it ended with. */
export function open<Request, RequestInit, Response, ResponseInit>(
  member: Member,
  method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
  request: RequestInit,
  context: Partial<LocalContext> = {},
): {
  readonly received: Response[];
  readonly stream: LocalStream;
  end: readonly [number, string] | undefined;
} {
  const received: Response[] = [];
  const opened = {
    received,
    end: undefined as readonly [number, string] | undefined,
    stream: member.parts.localCalls.stream(
      method.path,
      {
        onMessage: (bytes) => received.push(method.response.decode(bytes)),
        onEnd: (status, message) => {
          opened.end = [status, message];
        },
      },
      { ...CONTEXT, ...context },
    ),
  };
  opened.stream.send(method.request.encode(method.request.create(request)));
  opened.stream.end();
  return opened;
}
