// `tetcd/grpc`: HTTP/2 and gRPC, server and client.

export { ERROR_CODES, type ErrorCode, hasCode, TetcdError } from '../base/index.ts';
export * from '../grpc/index.ts';
