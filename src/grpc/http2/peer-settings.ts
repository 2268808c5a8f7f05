// The peer's SETTINGS (RFC 9113 section 6.5.2).

import type { HpackEncoder } from '../hpack/index.ts';
import { protocolError } from './frame-rules.ts';
import { readUint32 } from './output.ts';
import {
  ConnectionError,
  DEFAULT_WINDOW,
  FRAME_PAYLOAD_MAX,
  HTTP2_ERROR,
  SETTING,
  WINDOW_MAX,
} from './protocol.ts';

const FRAME_PAYLOAD_LIMIT = 0xffffff;

export class PeerSettings {
  /** Streams that we may have open at once. */
  streamsMax: number = Number.POSITIVE_INFINITY;
  /** Largest header list that we may send. */
  headerListMax: number = Number.POSITIVE_INFINITY;
  /** Send window of a new stream. */
  initialWindow: number = DEFAULT_WINDOW;
  /** A client may set SETTINGS_ENABLE_PUSH to 1, a server may not. */
  readonly #pushMax: number;
  readonly #encoder: HpackEncoder;

  constructor(encoder: HpackEncoder, peerIsClient: boolean) {
    this.#encoder = encoder;
    this.#pushMax = peerIsClient ? 1 : 0;
  }

  /** Takes one SETTINGS frame. Throws a ConnectionError. */
  apply(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at += 6) {
      this.#set((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2));
    }
  }

  #set(id: number, value: number): void {
    switch (id) {
      case SETTING.HEADER_TABLE_SIZE:
        this.#encoder.setTableSize(value);
        break;
      case SETTING.ENABLE_PUSH:
        if (value > this.#pushMax) throw protocolError('SETTINGS_ENABLE_PUSH');
        break;
      case SETTING.MAX_CONCURRENT_STREAMS:
        this.streamsMax = value;
        break;
      case SETTING.INITIAL_WINDOW_SIZE:
        if (value > WINDOW_MAX) {
          throw new ConnectionError(HTTP2_ERROR.FLOW_CONTROL_ERROR, 'SETTINGS_INITIAL_WINDOW_SIZE');
        }
        this.initialWindow = value;
        break;
      case SETTING.MAX_FRAME_SIZE:
        // The value is not used: we never send frames above the default maximum.
        if (value < FRAME_PAYLOAD_MAX || value > FRAME_PAYLOAD_LIMIT) {
          throw protocolError('SETTINGS_MAX_FRAME_SIZE');
        }
        break;
      case SETTING.MAX_HEADER_LIST_SIZE:
        this.headerListMax = value;
        break;
      default:
        // Unknown settings are ignored.
        break;
    }
  }
}
