// Every bound of the transport: unit, reason, and what happens when it is reached. A field marked
// (flag) is meant to be set by the embedding program; the others have no known reason to change.

import { invariant } from '../base/index.ts';

const KIB = 1024;
const MIB = 1024 * 1024;

/** Bounds that hold for either side of a connection. */
export interface ConnectionLimits {
  /**
   * Largest header list we accept, in bytes as RFC 9113 section 6.5.2 counts them (32 more per
   * field); advertised. A larger one is refused; decoding goes on, without collecting fields, to keep
   * the HPACK state. The bound against HPACK bombs. (etcd: 16 MiB.)
   */
  readonly headerListBytesMax: number;
  /** Largest compressed header block over all its frames. A larger one ends the connection. */
  readonly headerBlockBytesMax: number;
  /** Flow-control window that we grant each stream: what a sender may have in flight to us. */
  readonly streamWindowBytes: number;
  /** Flow-control window that we grant the whole connection. */
  readonly connectionWindowBytes: number;
  /**
   * Received message bytes of one connection in memory, because a message is incomplete or its reader
   * paused. The stream that would exceed it is reset with ENHANCE_YOUR_CALM.
   */
  readonly heldBytesMax: number;
  /** Bytes queued on one stream beyond which `write` says "wait". */
  readonly streamHighWaterBytes: number;
  /** Bytes queued on one connection beyond which every `write` on it says "wait". */
  readonly connectionHighWaterBytes: number;
  /**
   * Bytes that a connection may have queued while the bound over all connections is exceeded; see
   * `pendingBytesMax`.
   */
  readonly pendingBytesFloor: number;
  /** Bytes in the byte stream's own queue beyond which a server does not read from it. */
  readonly socketHighWaterBytes: number;
  /**
   * Tokens for frames that cost work and carry nothing: SETTINGS, PING, PRIORITY, WINDOW_UPDATE,
   * RST_STREAM, CONTINUATION and unknown frames, empty DATA. Each takes one; each frame that carries
   * something, in either direction, gives `controlFramesPerUsefulFrame`; each second gives
   * `controlFramesPerSecond`. At zero the connection ends with ENHANCE_YOUR_CALM.
   */
  readonly controlFramesBurst: number;
  readonly controlFramesPerUsefulFrame: number;
  readonly controlFramesPerSecond: number;
  /**
   * Work that one connection's input may cause in a turn of the event loop, in units of a frame, a
   * message, or 1 KiB. Then its other input waits for its turn (`http2/input-turns.ts`), and it is
   * not read from.
   */
  readonly inputWorkPerTurn: number;
  /** Time for the peer's preface and first SETTINGS to arrive; then the connection is closed. */
  readonly prefaceTimeoutMs: number;
  /** Time for a frame or header block that has begun to arrive whole (slow headers). */
  readonly frameTimeoutMs: number;
  /** Time in which a full outgoing queue must make some progress; then the connection is closed. */
  readonly writeStallTimeoutMs: number;
}

/**
 * A server's bounds on what its clients may do. Bytes, counts and milliseconds, as each name says.
 */
export interface ServerLimits extends ConnectionLimits {
  /** (flag) Largest request message; a larger one is answered RESOURCE_EXHAUSTED. */
  readonly receiveBytesMax: number;
  /** (flag) Streams open at once on a connection; advertised; one more is refused. */
  readonly maxConcurrentStreams: number;
  /**
   * Requests of one connection that wait because its responses are not being read (see
   * `connectionHighWaterBytes`); one more is refused, which a client may retry elsewhere.
   */
  readonly heldCallsMax: number;
  /**
   * Tokens for streams that the client resets before they are answered, or that we reset for its
   * mistakes; see `ServerConnection` for what each takes. Each call answered gives
   * `resetsPerAnswer`, each second `resetsPerSecond`. At zero the connection ends with
   * ENHANCE_YOUR_CALM (rapid reset).
   */
  readonly resetsBurst: number;
  readonly resetsPerAnswer: number;
  readonly resetsPerSecond: number;
  /** Open connections; one more is closed at once. */
  readonly connectionsMax: number;
  /**
   * Answers that clients have not taken, over all connections: queued bytes and the memory of answers
   * being made. Reached: for connections above `pendingBytesFloor` no further answers are made, and one
   * that has taken less than that in `pendingStallMs` is closed.
   */
  readonly pendingBytesMax: number;
  readonly pendingStallMs: number;
  /**
   * Received message bytes in memory, over all connections. Reached: the connection that holds most has
   * its incomplete messages reset with ENHANCE_YOUR_CALM.
   */
  readonly heldBytesTotalMax: number;
}

/** A client's bounds on its connections. Bytes, counts and milliseconds, as each name says. */
export interface ClientLimits extends ConnectionLimits {
  readonly receiveBytesMax: number;
  /** Calls waiting for a connection or a free stream; one more fails RESOURCE_EXHAUSTED. */
  readonly waitingCallsMax: number;
  /** Time for one endpoint to connect. */
  readonly connectTimeoutMs: number;
  /** Wait after the first failure to connect; each further one waits `backoffFactor` times longer. */
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  readonly backoffFactor: number;
  /** Each wait varies by this fraction either way, so that clients do not return in lockstep. */
  readonly backoffJitter: number;
  /** Transparent retries of a call that no server has processed. */
  readonly transparentRetriesMax: number;
}

const CONNECTION_LIMITS: ConnectionLimits = {
  headerListBytesMax: 1 * MIB,
  headerBlockBytesMax: 2 * MIB,
  streamWindowBytes: 1 * MIB,
  connectionWindowBytes: 4 * MIB,
  heldBytesMax: 64 * MIB,
  streamHighWaterBytes: 256 * KIB,
  connectionHighWaterBytes: 4 * MIB,
  pendingBytesFloor: 64 * KIB,
  socketHighWaterBytes: 256 * KIB,
  controlFramesBurst: 10_000,
  controlFramesPerUsefulFrame: 3,
  controlFramesPerSecond: 1_000,
  inputWorkPerTurn: 512,
  prefaceTimeoutMs: 10_000,
  frameTimeoutMs: 20_000,
  writeStallTimeoutMs: 60_000,
};

/** Defaults of {@link ServerLimits}. */
export const SERVER_LIMITS: ServerLimits = {
  ...CONNECTION_LIMITS,
  receiveBytesMax: 4 * MIB,
  maxConcurrentStreams: 100_000,
  heldCallsMax: 10_000,
  resetsBurst: 1_000,
  resetsPerAnswer: 3,
  resetsPerSecond: 100,
  connectionsMax: 100_000,
  pendingBytesMax: 256 * MIB,
  pendingStallMs: 10_000,
  heldBytesTotalMax: 256 * MIB,
};

/** Defaults of {@link ClientLimits}. */
export const CLIENT_LIMITS: ClientLimits = {
  ...CONNECTION_LIMITS,
  // A server sends only what was requested.
  inputWorkPerTurn: 2 ** 30 - 1,
  streamWindowBytes: 4 * MIB,
  connectionWindowBytes: 16 * MIB,
  receiveBytesMax: 2 ** 31 - 1,
  // A client receives what it requested: a range of any size must fit.
  heldBytesMax: 2 ** 32,
  waitingCallsMax: 100_000,
  connectTimeoutMs: 20_000,
  backoffMsMin: 1_000,
  backoffMsMax: 120_000,
  backoffFactor: 1.6,
  backoffJitter: 0.2,
  transparentRetriesMax: 5,
};

/** Pings that keep a connection alive, and how often a client may send its own. */
export interface ServerKeepalive {
  /** A ping is sent after this long without input. */
  readonly intervalMs: number;
  /** The connection is closed if nothing arrives for this long after a ping. */
  readonly timeoutMs: number;
  /** A client that pings more often gets GOAWAY ENHANCE_YOUR_CALM `too_many_pings`. */
  readonly minTimeMs: number;
  /** Whether pings are allowed while no call is open; if not, one in two hours is. */
  readonly permitWithoutStream: boolean;
}

/** Keepalive pings of a client. Milliseconds. */
export interface ClientKeepalive {
  /** A ping is sent after this long without input; Infinity for never. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Whether to ping while no call is open. */
  readonly permitWithoutStream: boolean;
}

/** Defaults of {@link ServerKeepalive}. */
export const SERVER_KEEPALIVE: ServerKeepalive = {
  intervalMs: 2 * 60 * 60 * 1000,
  timeoutMs: 20_000,
  minTimeMs: 5 * 60 * 1000,
  permitWithoutStream: false,
};

/** Defaults of {@link ClientKeepalive}. */
export const CLIENT_KEEPALIVE: ClientKeepalive = {
  intervalMs: Number.POSITIVE_INFINITY,
  timeoutMs: 20_000,
  permitWithoutStream: false,
};

/** Header lists of open calls count against `heldBytesMax` from this size on; others are small. */
export const HELD_HEAD_BYTES_MIN: number = 16 * KIB;

/** A reset of a stream at least this old does not count as a rapid reset. */
export const RESET_AGE_MS_FREE = 1_000;
/** A deadline nearer than this may have passed already by the client's clock. */
export const RESET_DEADLINE_MS_NEAR = 100;
/** Tokens that the reset of such a call takes. */
export const RESET_NEAR_DEADLINE_COST = 0.05;

/** Interval of the lateness check, by how much it may come later, and how late it must be to count. */
export const LATE_BEAT_MS = 250;
export const LATE_BEAT_SLACK_MS = 125;
export const LATE_MS_MIN = 250;
/** Resets that arrive within this time after lateness are not charged. */
export const LATE_GRACE_MS = 1_000;

/** A call with no more time than this has passed its deadline on arrival, and is not begun. */
export const TIMEOUT_MS_OVER = 1e-3;

/** Early pings that are tolerated; one more is answered with GOAWAY `too_many_pings`. */
export const PING_STRIKES_MAX = 2;
/** Without calls and without permission, pings must be this far apart. */
export const PING_IDLE_MIN_MS: number = 2 * 60 * 60 * 1000;

invariant(
  CONNECTION_LIMITS.headerBlockBytesMax >= CONNECTION_LIMITS.headerListBytesMax,
  'an uncompressed block of the largest list fits',
);
invariant(
  CONNECTION_LIMITS.connectionWindowBytes >= CONNECTION_LIMITS.streamWindowBytes,
  'one stream can use its window',
);

/** What `heldBytesMax` must be at least, for one message of the largest size to be received. */
export function heldBytesFloor(receiveBytesMax: number): number {
  // Kept in a buffer that is doubled, while its successor of twice the size is filled.
  return 3 * receiveBytesMax;
}

invariant(
  heldBytesFloor(SERVER_LIMITS.receiveBytesMax) <= CONNECTION_LIMITS.heldBytesMax,
  'one largest message can be held',
);
