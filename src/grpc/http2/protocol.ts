// Numbers of RFC 9113, and the errors that end a connection.

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = {
  END_STREAM: 0x1,
  ACK: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

export const SETTING = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** Section 7. */
export const HTTP2_ERROR = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

export type Http2ErrorCode = (typeof HTTP2_ERROR)[keyof typeof HTTP2_ERROR];

const ERROR_NAMES = Object.keys(HTTP2_ERROR);

/** The code's name in the RFC. */
export function http2ErrorName(code: number): string {
  return ERROR_NAMES[code] ?? `unknown error code 0x${code.toString(16)}`;
}

export const FRAME_HEADER_BYTES = 9;
/** What both sides must accept; we never advertise more nor send more. */
export const FRAME_PAYLOAD_MAX = 16_384;
export const DEFAULT_WINDOW = 65_535;
export const WINDOW_MAX: number = 2 ** 31 - 1;
export const STREAM_ID_MAX: number = 2 ** 31 - 1;
export const DEFAULT_HEADER_TABLE_BYTES = 4096;

/** The 24 bytes with which a client begins (section 3.4), one char per byte. */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** A violation that ends the connection with GOAWAY (section 5.4.1). Thrown inside, never out. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: Http2ErrorCode;

  constructor(code: Http2ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
