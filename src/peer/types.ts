// The interface of the peer transport: what it needs of its member, and what it offers.

import type { Counter, Gauge, Histogram } from '../base/index.ts';
import type { ByteStream, Env } from '../env/index.ts';
import type { raftpb } from '../protocol/index.ts';

/** Outcomes of an incoming message. */
export const RECEIPTS = {
  ACCEPTED: 'accepted',
  /** Its sender was removed from the cluster: 403, and the sender stops. */
  FROM_REMOVED: 'fromRemoved',
  /** It names another receiver: 403. */
  NOT_FOR_ME: 'notForMe',
  /** The member takes no messages (it is starting or stopping): 500. */
  REFUSED: 'refused',
} as const;

/** The role of a database's sender, as the receiver knows it. */
export const SENDERS = {
  /** The leader, as raft knows it. */
  LEADER: 'leader',
  MEMBER: 'member',
  UNKNOWN: 'unknown',
} as const;

export type Sender = (typeof SENDERS)[keyof typeof SENDERS];

export type Receipt = (typeof RECEIPTS)[keyof typeof RECEIPTS];

/** The member that a transport serves. No method throws, unless it says so. */
export interface PeerHost {
  /** An incoming message, whose entries and bytes the host owns. Called any number of times per turn. */
  receive(message: raftpb.Message): Receipt;
  isRemoved(id: bigint): boolean;
  /** The role of `id`, as this member knows it. */
  senderOf(id: bigint): Sender;
  /** A message to `id` was dropped or its connection broke. May be called from within `send`. */
  reportUnreachable(id: bigint): void;
  /** Another member reports that this one was removed from the cluster. */
  onRemoved(reason: string): void;
  /**
   * A database arrives after the MsgSnap `message`. Reads `body` to its end and resolves once the
   * file is complete and synced; the transport then calls `receive(message)`. Rejects if the body
   * fails or the file cannot be kept; nothing is then left behind.
   */
  storeSnapshot(message: raftpb.Message, body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Answers all other paths: `/members`, `/leases`, `/version` and so on. */
  handle(request: PeerRequest): Promise<PeerResponse>;
}

/** A request to the peer port whose body, within its bound, has arrived. */
export interface PeerRequest {
  readonly method: string;
  /** Decoded, without query. */
  readonly path: string;
  readonly query: string;
  /** Names in lower case; of a name that comes twice, the values joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export interface PeerResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A database to be sent to another member. */
export interface OutgoingSnapshot {
  /** Bytes of the file. */
  readonly size: number;
  /** The file from its beginning; a piece is the reader's until it requests the next. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Releases it; called once, after success and failure. */
  close(): void;
}

/** Metrics by member id in lower-case hexadecimal, as etcd's of the same names. */
export interface PeerMetrics {
  activePeers(local: string, remote: string): Gauge;
  disconnectedPeers(local: string, remote: string): Counter;
  sentBytes(to: string): Counter;
  /** `from` is `0` where no member is named. */
  receivedBytes(from: string): Counter;
  sentFailures(to: string): Counter;
  /** `from` is `host:port` for input that could not be decoded. */
  receivedFailures(from: string): Counter;
  roundTripSeconds(to: string): Histogram;
  snapshotSendSuccess(to: string): Counter;
  snapshotSendFailures(to: string): Counter;
  snapshotSendInflight(to: string): Gauge;
  snapshotSendSeconds(to: string): Histogram;
  snapshotReceiveSuccess(from: string): Counter;
  snapshotReceiveFailures(from: string): Counter;
  snapshotReceiveInflight(from: string): Gauge;
  snapshotReceiveSeconds(from: string): Histogram;
}

export interface PeerLog {
  readonly debugEnabled: boolean;
  debug(text: string, fields?: Readonly<Record<string, unknown>>): void;
  info(text: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(text: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface PeerTransportOptions {
  readonly env: Pick<Env, 'clock' | 'timers' | 'network'>;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** This member's own peer URLs, sent as `X-PeerURLs`. Called for each request. */
  readonly ownUrls: () => readonly string[];
  readonly host: PeerHost;
  readonly metrics: PeerMetrics;
  readonly log: PeerLog;
  /** `1 s + election timeout` is the time limit of a dial. */
  readonly electionMs: number;
  /** Deadline of every read and write of a peer connection; default etcd's 5 s. */
  readonly ioTimeoutMs?: number;
}

/**
 * The links to all other members. Members are peers: streams to them are kept open. Members of which only
 * the address is known (they know this member first) are remotes: messages to them are single POST
 * requests, until they become peers.
 */
export interface PeerTransport {
  /** Urls as `http://host:port` (or `unix://path`), at least one. No effect for a known id. */
  addPeer(id: bigint, urls: readonly string[]): void;
  addRemote(id: bigint, urls: readonly string[]): void;
  updatePeer(id: bigint, urls: readonly string[]): void;
  /** Ends every stream with it, in both directions. */
  removePeer(id: bigint): void;
  /** Ends every link and request, in both directions. */
  removeAllPeers(): void;
  /**
   * Sends a message to `message.to`, or drops it and reports the peer unreachable; never waits. A
   * message to an unknown member is dropped. The message is shared with raft and is encoded before this
   * returns, or not at all. MsgSnap goes through {@link sendSnapshot}.
   */
  send(message: raftpb.Message): void;
  /**
   * Sends a MsgSnap with its database; resolves to whether the receiver accepted it. At most one is sent
   * to each peer at a time: another resolves to false immediately.
   */
  sendSnapshot(message: raftpb.Message, snapshot: OutgoingSnapshot): Promise<boolean>;
  /** Monotonic ms since when the peer has been reachable; undefined if it is not now. */
  activeSince(id: bigint): number | undefined;
  /** Serves one connection of the peer port. */
  accept(stream: ByteStream): void;
  /** No link, timer or request is left when it resolves. */
  stop(): Promise<void>;
}

/** A request to another member's peer port. */
export interface RequestOptions {
  /** `http://host:port`. */
  readonly url: string;
  readonly method: 'GET' | 'POST';
  /** Begins with a slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** Largest body of the answer in bytes. */
  readonly bodyBytesMax: number;
}
