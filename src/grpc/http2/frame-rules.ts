// The rules of RFC 9113 section 6 that concern a frame header alone: the streams on which a type of
// frame may come, and its length. A violation ends the connection.

import { ConnectionError, FLAG, FRAME, HTTP2_ERROR } from './protocol.ts';

/** Throws a ConnectionError; `length` is that of the payload. */
export function checkFrame(type: number, flags: number, streamId: number, length: number): void {
  switch (type) {
    case FRAME.DATA:
    case FRAME.HEADERS:
    case FRAME.PRIORITY:
    case FRAME.CONTINUATION:
      if (streamId === 0) throw protocolError(`${frameName(type)} on stream 0`);
      break;
    case FRAME.RST_STREAM:
      if (streamId === 0) throw protocolError('RST_STREAM on stream 0');
      if (length !== 4) throw frameSizeError('RST_STREAM');
      break;
    case FRAME.SETTINGS:
      if (streamId !== 0) throw protocolError('SETTINGS on a stream');
      if ((flags & FLAG.ACK) !== 0 ? length !== 0 : length % 6 !== 0) {
        throw frameSizeError('SETTINGS');
      }
      break;
    case FRAME.PUSH_PROMISE:
      // A client must not push, and a server must not since our SETTINGS disable it.
      throw protocolError('PUSH_PROMISE');
    case FRAME.PING:
      if (streamId !== 0) throw protocolError('PING on a stream');
      if (length !== 8) throw frameSizeError('PING');
      break;
    case FRAME.GOAWAY:
      if (streamId !== 0) throw protocolError('GOAWAY on a stream');
      if (length < 8) throw frameSizeError('GOAWAY');
      break;
    case FRAME.WINDOW_UPDATE:
      if (length !== 4) throw frameSizeError('WINDOW_UPDATE');
      break;
    default:
      // Unknown frames are ignored (section 5.5).
      break;
  }
}

const NAMES = Object.keys(FRAME);

function frameName(type: number): string {
  return NAMES[type] ?? `frame type ${type}`;
}

export function protocolError(text: string): ConnectionError {
  return new ConnectionError(HTTP2_ERROR.PROTOCOL_ERROR, text);
}

export function frameSizeError(text: string): ConnectionError {
  return new ConnectionError(HTTP2_ERROR.FRAME_SIZE_ERROR, `wrong size of ${text}`);
}
