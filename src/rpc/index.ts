// The table of services, and the context of a request.

export type { Call, Caller, StreamCall, UnaryCall } from './call.ts';
export { type CallMeter, encodedBy, LocalCall, type LocalContext } from './local-call.ts';
export { LocalCalls } from './local-calls.ts';
export type { LocalStream, LocalStreamListener } from './local-stream.ts';
export { type CallObserver, serveGrpc } from './serve-grpc.ts';
export {
  type Around,
  type Gate,
  type Guard,
  type MethodKind,
  type MethodTraits,
  ServiceTable,
  type StreamEntry,
  type StreamOpener,
  type UnaryEntry,
  type UnaryHandler,
} from './service-table.ts';
export {
  endMalformed,
  endWith,
  failWith,
  type RpcStatus,
  statusOfError,
  textOfStatus,
} from './status.ts';
