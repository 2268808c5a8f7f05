// A call as handlers and guards see it, whatever brought it: HTTP/2 or this process. The request's
// context is the call itself; nothing is made per call but what the transport makes anyway.

import type {
  Call as GrpcCall,
  StreamCall as GrpcStreamCall,
  UnaryCall as GrpcUnaryCall,
} from '../grpc/index.ts';

/** An authenticated user, under the names of etcd's `RequestHeader`. */
export interface Caller {
  readonly username: string;
  /** Revision of the users and roles that the caller was authenticated against. */
  readonly authRevision: number;
}

/**
 * The context of a request: where it comes from (`peer`), what came with it (`metadata`, a token
 * among it), until when it is wanted (`deadlineMs`, `isWanted`), and who makes it.
 */
export interface Call
  extends Pick<GrpcCall, 'path' | 'peer' | 'metadata' | 'deadlineMs' | 'ended' | 'isWanted'> {
  /** Set by the guard that authenticates; undefined if nobody is identified. */
  caller: Caller | undefined;
}

type UnaryAnswers =
  | 'isBehind'
  | 'whenRoom'
  | 'mayHold'
  | 'holdMemory'
  | 'reply'
  | 'replyInPieces'
  | 'fail';

export interface UnaryCall extends Call, Pick<GrpcUnaryCall, UnaryAnswers> {}

type StreamAnswers = 'write' | 'hasRoom' | 'end' | 'pause' | 'resume';

export interface StreamCall extends Call, Pick<GrpcStreamCall, StreamAnswers> {}
