// HTTP/1.1 over byte streams, both sides, as far as members use it.

export { type ByteBudget, IncomingBody } from './body.ts';
export { type AnswerEvents, ClientConnection } from './client.ts';
export { HttpFault } from './fault.ts';
export type { AnswerHead, Headers, RequestHead } from './head.ts';
export { type AnswerStreamEvents, ServerConnection, ServerExchange } from './server.ts';
export { StallWatch } from './stall.ts';
export {
  type Answer,
  CHUNK_HEAD_BYTES,
  CHUNK_OVERHEAD,
  chunkOf,
  emptyAnswer,
  frameChunk,
  lastChunkWith,
  requestHeadBytes,
  textAnswer,
} from './write.ts';
