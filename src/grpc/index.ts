// HTTP/2 and gRPC, server and client, over byte streams. Messages are bytes here.

export { createChannel } from './client/channel.ts';
export type {
  CallOptions,
  CallStatus,
  Channel,
  ChannelOptions,
  ClientCall,
  ClientStream,
  ClientStreamHandler,
  Connect,
  Endpoint,
  EndpointState,
  UnarySink,
} from './client/client-types.ts';
export { outputBuffers } from './http2/buffer-pool.ts';
export { tracedStream } from './http2/frame-trace.ts';
export type {
  ClientKeepalive,
  ClientLimits,
  ConnectionLimits,
  ServerKeepalive,
  ServerLimits,
} from './limits.ts';
export { CLIENT_KEEPALIVE, CLIENT_LIMITS, SERVER_KEEPALIVE, SERVER_LIMITS } from './limits.ts';
export type { Encoder } from './message-encoder.ts';
export { BYTES_ENCODER } from './message-encoder.ts';
export {
  base64ErrorAt,
  decodeBinaryValue,
  EMPTY_METADATA,
  encodeBinaryValue,
  type Metadata,
  type MetadataInit,
  type MetadataValue,
  PairMetadata,
} from './metadata.ts';
export { createServer } from './server/server.ts';
export type {
  AcceptOptions,
  Call,
  MethodStats,
  Peer,
  Pieces,
  RawOpener,
  RawRequest,
  RoomWaiter,
  Server,
  ServerOptions,
  StreamCall,
  StreamHandler,
  StreamOpener,
  UnaryCall,
  UnaryHandler,
} from './server/server-types.ts';
export type { StatusCode } from './status.ts';
export { GrpcStatusError, STATUS, STATUS_COUNT, STATUS_NAMES, statusName } from './status.ts';
