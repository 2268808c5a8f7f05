// A call as handlers and guards see it, over HTTP/2 or inside this process. The call is also the
// request's context: no further object is made per call.

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
 * The context of a request: its origin (`peer`), its metadata (with a token, if there is one), its
 * deadline and cancellation (`deadlineMs`, `isWanted`), and its authenticated caller.
 */
export interface Call
  extends Pick<GrpcCall, 'path' | 'peer' | 'metadata' | 'deadlineMs' | 'ended' | 'isWanted'> {
  /** Whether a service makes it in the course of another call, instead of a client. */
  readonly isInner?: boolean;
  /** Set by the guard that authenticates; undefined for an unauthenticated request. */
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

export interface UnaryCall extends Call, Pick<GrpcUnaryCall, UnaryAnswers> {
  /** Called once if the call ends before it is answered: by its client, or at its deadline. */
  onCancel: (() => void) | undefined;
}

type StreamAnswers =
  | 'sendsNews'
  | 'write'
  | 'writeRun'
  | 'writeParts'
  | 'hasRoom'
  | 'end'
  | 'endUnreadable'
  | 'pause'
  | 'resume';

export interface StreamCall extends Call, Pick<GrpcStreamCall, StreamAnswers> {}
