// `tetcd/client`, and the package of the client alone.

export type { ErrorCode } from '../base/index.ts';
export * from '../client/index.ts';
export type { ByteStream, Clock, Entropy, StreamAddress, Timer, Timers } from '../env/index.ts';
export type { Connect, Endpoint } from '../grpc/index.ts';
export type { MethodDescriptor } from '../protocol/index.ts';
