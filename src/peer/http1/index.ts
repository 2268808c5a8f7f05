// HTTP/1.1 over byte streams, both sides, as far as members use it.

export { type ByteBudget, IncomingBody } from './body.ts';
export { ClientConnection } from './client.ts';
export type { AnswerHead, Headers } from './head.ts';
export { ServerConnection, ServerExchange } from './server.ts';
export { StallWatch } from './stall.ts';
export {
  type Answer,
  CHUNK_HEAD_BYTES,
  CHUNK_OVERHEAD,
  emptyAnswer,
  frameChunk,
  lastChunkWith,
  requestHeadBytes,
  textAnswer,
} from './write.ts';
