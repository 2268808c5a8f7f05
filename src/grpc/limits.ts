// Every bound of the transport: unit, reason, and what happens when it is reached. A field marked
// (flag) is meant to be set by the embedding program; the others have no known reason to change.

import { invariant } from '../base/index.ts';

export const KIB = 1024;
export const MIB = 1024 * 1024;

/** Bounds that hold for either side of a connection. */
export interface ConnectionLimits {
  /**
   * Largest header list we accept, in bytes as RFC 9113 section 6.5.2 counts them (32 more per
   * field); advertised. A larger one is refused; decoding goes on, without keeping fields, because
   * the HPACK state must follow. This is what an HPACK bomb meets. (etcd: 16 MiB.)
   */
  readonly headerListBytesMax: number;
  /** Largest compressed header block over all its frames. A larger one ends the connection. */
  readonly headerBlockBytesMax: number;
  /** Flow-control window that we grant each stream: what a sender may have in flight to us. */
  readonly streamWindowBytes: number;
  /** Flow-control window that we grant the whole connection. */
  readonly connectionWindowBytes: number;
  /**
   * Received message bytes of one connection that are kept because a message is incomplete or its
   * reader paused. The stream that would exceed it is reset with ENHANCE_YOUR_CALM.
   */
  readonly heldBytesMax: number;
  /** Bytes queued on one stream beyond which `write` says "wait". */
  readonly streamHighWaterBytes: number;
  /** Bytes queued on one connection beyond which every `write` on it says "wait". */
  readonly connectionHighWaterBytes: number;
  /**
   * What a connection may have queued while all of them together are over their bound; see
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
  /** Time in which a full outgoing queue must move at all; then the connection is closed. */
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
   * Requests of one connection held back because its responses are not being read (see
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
   * Answers that clients have not taken, over all connections: what is queued and the memory of what
   * is being made. Reached: connections with more than `pendingBytesFloor` of it get no further
   * answers made, and one that has taken less than that in `pendingStallMs` is closed.
   */
  readonly pendingBytesMax: number;
  readonly pendingStallMs: number;
  /**
   * Received message bytes that are kept, over all connections. Reached: the connection that keeps
   * most has its incomplete messages reset with ENHANCE_YOUR_CALM.
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
  /** How often a call that no server has begun is sent again by itself. */
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
  // What a server sends was asked for.
  inputWorkPerTurn: 2 ** 30 - 1,
  streamWindowBytes: 4 * MIB,
  connectionWindowBytes: 16 * MIB,
  receiveBytesMax: 2 ** 31 - 1,
  // A client asks for what it gets: a range of any size must fit.
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

/** When a client asks whether its connection still lives. Milliseconds. */
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

/** A stream that has lived this long when its client resets it is none of a rapid reset. */
export const RESET_AGE_MS_FREE = 1_000;
/** A client whose deadline is as near as this may be about to pass it, by its own clock. */
export const RESET_DEADLINE_MS_NEAR = 100;
/** What the reset of such a call takes. */
export const RESET_NEAR_DEADLINE_COST = 0.05;

/** How often it is looked at whether the process is late, and how late it must be to count. */
export const LATE_BEAT_MS = 250;
export const LATE_MS_MIN = 250;
/** What arrives in this time after it was late is excused. */
export const LATE_GRACE_MS = 1_000;

/** A call with no more time than this is over when it arrives, and not begun. */
export const TIMEOUT_MS_OVER = 1e-3;

/** Pings that come too early before the client is told off. */
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
