// The buffers that all connections of the process use again.

import { BufferPool } from '../../base/index.ts';

const allocate = (bytes: number): Uint8Array => Buffer.allocUnsafe(bytes);

/** In which input is put together: a message of 100 KB in many frames needs twice its size on the way. */
export const inputBuffers: BufferPool = new BufferPool(allocate);

/**
 * For large messages and the pieces of them, on their way out:
 *
 *     take ──► filled ──► `sendData` ──► queue of the stream ──► socket ──► free again
 *
 * Who passes one to `sendData`, as a whole or the beginning of it, gives it up. It is one piece of one
 * stream. Where the socket does not say when it has released it, it is left to the collector.
 */
export const outputBuffers: BufferPool = new BufferPool(allocate);
