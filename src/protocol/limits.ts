// Bounds on what a decoder accepts.

/**
 * Messages within messages, the outermost counted: what etcd 3.7 takes as a log entry, where the
 * InternalRaftRequest around a request is one of its 10,000. Beyond it the message is MALFORMED.
 */
export const MESSAGE_NESTING_MAX = 9_999;

/** The same for JSON, whose messages are read and written on the stack. */
export const JSON_NESTING_MAX = 1_000;

/** Objects and arrays within each other in JSON that is read; Go's bound. Beyond it the text is MALFORMED. */
export const JSON_DEPTH_MAX = 10_000;

/**
 * Messages that a decoder reads on the stack before it puts off those within. V8's default stack (about
 * 1 MB) holds some 5,000. A client's message that goes deeper and is read otherwise by some release is
 * MALFORMED.
 */
export const DECODER_STACK_MESSAGES = 1_000;

/** Groups within a group that a client may send, the outermost counted; etcd 3.7's number. */
export const GROUP_NESTING_MAX = 10_001;

/** Bytes of a varint; ten carry 64 bits. Beyond it the message is MALFORMED. */
export const VARINT_BYTES_MAX = 10;
