// Receives a database: the message, then the file, then its digest if the sender adds one.

import { createHash } from 'node:crypto';
import { ERROR_CODES, hasCode, Pace, TetcdError } from '../base/index.ts';
import { raftpb } from '../protocol/index.ts';
import { checkMessage } from './codec/check-message.ts';
import { readFrameLength } from './codec/message-stream.ts';
import { failureText, type PeerContext } from './context.ts';
import { type Answer, emptyAnswer, type IncomingBody, textAnswer } from './http1/index.ts';
import {
  RECEIVED_SNAPSHOT_GRACE_MS,
  RECEIVED_SNAPSHOT_RATE_MIN,
  SNAPSHOT_MESSAGE_BYTES_MAX,
} from './limits.ts';
import { refusalOfReceipt } from './receipt-answer.ts';
import { RECEIPTS, SENDERS } from './types.ts';

const UNKNOWN = '0';
const DIGEST = /(?:^|,)[ \t]*sha-256=:([A-Za-z\d+/=]+):/;

export class SnapshotReceiver {
  readonly #context: PeerContext;
  /** The database that is arriving. */
  #arriving: Arriving | undefined;

  constructor(context: PeerContext) {
    this.#context = context;
  }

  /** Receives the database and passes its message to the host. Never rejects. */
  async receive(
    body: IncomingBody,
    remoteAddress: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const { log, metrics, local } = this.#context;
    const reader = new BodyReader(body, () => this.#context.nowMs());
    let message: raftpb.Message;
    let size: number;
    try {
      const length = readFrameLength(
        await reader.take(8),
        0,
        SNAPSHOT_MESSAGE_BYTES_MAX,
        'snapshot message',
      );
      size = length;
      message = raftpb.MessageCodec.decode(await reader.take(length));
      checkMessage(message);
    } catch (error) {
      body.abandon();
      const tooLong = hasCode(error, ERROR_CODES.LIMIT_EXCEEDED);
      const text = tooLong ? 'rafthttp: error limit exceeded' : failureText(error);
      const fields = { 'local-member-id': local, 'remote-snapshot-sender-id': UNKNOWN };
      log.warn('failed to decode Raft message', { ...fields, error: text });
      metrics.receivedFailures(remoteAddress).value++;
      metrics.snapshotReceiveFailures(UNKNOWN).value++;
      return textAnswer(400, `failed to decode raft message (${text})`, headers);
    }
    const answer = await this.#receiveFrom(message, size, reader, headers);
    body.abandon();
    return answer;
  }

  async #receiveFrom(
    message: raftpb.Message,
    size: number,
    reader: BodyReader,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const { host, log, memberId, metrics, local } = this.#context;
    const from = message.from.toString(16);
    const fields = { 'local-member-id': local, 'remote-snapshot-sender-id': from };
    metrics.receivedBytes(from).value += size;
    if (message.type !== raftpb.MessageType.MsgSnap || message.snapshot === undefined) {
      log.warn('unexpected Raft message type', { ...fields, 'message-type': message.type });
      metrics.snapshotReceiveFailures(from).value++;
      return textAnswer(400, 'wrong raft message type', headers);
    }
    // Checked before the database is received, which would be useless.
    if (host.isRemoved(message.from)) return this.#refused(from, RECEIPTS.FROM_REMOVED, headers);
    if (message.to !== memberId) return this.#refused(from, RECEIPTS.NOT_FOR_ME, headers);
    const sender = host.senderOf(message.from);
    if (sender === SENDERS.UNKNOWN) {
      return this.#failed(from, 'its sender is no member of the cluster', fields, headers);
    }
    const arriving: Arriving = { isLeader: sender === SENDERS.LEADER, reader };
    if (!this.#maybeTakeSlot(arriving)) {
      return this.#failed(from, 'another snapshot is being received', fields, headers);
    }
    const sinceMs = this.#context.nowMs();
    metrics.snapshotReceiveInflight(from).value++;
    const index = message.snapshot.metadata?.index ?? 0;
    const about = { ...fields, 'incoming-snapshot-index': index };
    log.info('receiving database snapshot', {
      ...about,
      'incoming-snapshot-message-size-bytes': size,
    });
    try {
      await host.storeSnapshot(message, reader.rest());
      if (!reader.ended) throw new TetcdError(ERROR_CODES.CLOSED, 'the database was not read');
    } catch (error) {
      return this.#failed(from, failureText(error), about, headers);
    } finally {
      if (this.#arriving === arriving) this.#arriving = undefined;
      metrics.snapshotReceiveInflight(from).value--;
    }
    metrics.receivedBytes(from).value += reader.restBytes;
    log.info('received and saved database snapshot', {
      ...about,
      'incoming-snapshot-size-bytes': reader.restBytes,
      'download-took': `${(this.#context.nowMs() - sinceMs) / 1000}s`,
    });
    const receipt = host.receive(message);
    if (receipt !== RECEIPTS.ACCEPTED) return this.#refused(from, receipt, headers);
    metrics.snapshotReceiveSuccess(from).value++;
    metrics.snapshotReceiveSeconds(from).observe((this.#context.nowMs() - sinceMs) / 1000);
    return emptyAnswer(204, headers);
  }

  /** Takes the slot if it is free, or if its holder is to be replaced. Whether it did. */
  #maybeTakeSlot(arriving: Arriving): boolean {
    const held = this.#arriving;
    if (held !== undefined) {
      const leads = arriving.isLeader && !held.isLeader;
      if (!leads && !held.reader.isBelow(RECEIVED_SNAPSHOT_RATE_MIN)) return false;
      held.reader.breakOff('another member sends its database');
    }
    this.#arriving = arriving;
    return true;
  }

  #failed(
    from: string,
    error: string,
    fields: Readonly<Record<string, unknown>>,
    headers: Readonly<Record<string, string>>,
  ): Answer {
    const { log, metrics } = this.#context;
    log.warn('failed to save incoming database snapshot', { ...fields, error });
    metrics.snapshotReceiveFailures(from).value++;
    return textAnswer(500, `failed to save KV snapshot (${error})`, headers);
  }

  #refused(
    from: string,
    receipt: Parameters<typeof refusalOfReceipt>[0],
    headers: Readonly<Record<string, string>>,
  ): Answer {
    const { log, metrics, local } = this.#context;
    metrics.snapshotReceiveFailures(from).value++;
    log.warn('failed to process Raft message', {
      'local-member-id': local,
      'remote-snapshot-sender-id': from,
      error: receipt,
    });
    const text = `failed to process raft message (${receipt})`;
    return refusalOfReceipt(receipt, headers) ?? textAnswer(500, text, headers);
  }
}

interface Arriving {
  readonly isLeader: boolean;
  readonly reader: BodyReader;
}

/** Reads the beginning of a body, then the rest as a stream. */
class BodyReader {
  readonly #body: IncomingBody;
  readonly #nowMs: () => number;
  readonly #pace = new Pace();
  #left: Uint8Array | undefined;
  /** Bytes that {@link rest} has yielded. */
  restBytes = 0;
  /** Whether the body was read to its end, and its digest was right. */
  ended = false;

  constructor(body: IncomingBody, nowMs: () => number) {
    this.#body = body;
    this.#nowMs = nowMs;
  }

  /** Whether its sender has sent fewer bytes per second, not counting our own pauses. */
  isBelow(bytesPerSecond: number): boolean {
    return this.#pace.isBelow(bytesPerSecond, RECEIVED_SNAPSHOT_GRACE_MS, this.#nowMs());
  }

  /** Ends the body with an error for its reader. */
  breakOff(reason: string): void {
    this.#body.fail(new TetcdError(ERROR_CODES.CLOSED, reason));
  }

  async #next(): Promise<Uint8Array | undefined> {
    this.#pace.begin(this.#nowMs());
    try {
      const piece = await this.#body.next();
      this.#pace.add(piece?.length ?? 0, this.#nowMs());
      return piece;
    } finally {
      this.#pace.end(this.#nowMs());
    }
  }

  /** The next `size` bytes; memory is taken as they arrive. */
  async take(size: number): Promise<Uint8Array> {
    let whole = new Uint8Array(0);
    let filled = 0;
    while (filled < size) {
      const piece = this.#left ?? (await this.#next());
      this.#left = undefined;
      if (piece === undefined) {
        throw new TetcdError(ERROR_CODES.MALFORMED, filled === 0 ? 'EOF' : 'unexpected EOF');
      }
      const used = Math.min(piece.length, size - filled);
      if (filled + used > whole.length) {
        const larger = new Uint8Array(Math.min(size, Math.max(filled + used, 2 * whole.length)));
        larger.set(whole);
        whole = larger;
      }
      whole.set(piece.subarray(0, used), filled);
      filled += used;
      if (used < piece.length) this.#left = piece.subarray(used);
    }
    return whole;
  }

  /** The rest of the body. Throws before its end if it is incomplete or its digest is wrong. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    const hash = createHash('sha256');
    for (;;) {
      const piece = this.#left ?? (await this.#next());
      this.#left = undefined;
      if (piece === undefined) break;
      hash.update(piece);
      this.restBytes += piece.length;
      yield piece;
    }
    const told = this.#body.trailers?.get('content-digest');
    const expected = told === undefined ? undefined : DIGEST.exec(told)?.[1];
    if (expected !== undefined && expected !== hash.digest('base64')) {
      throw new TetcdError(ERROR_CODES.CORRUPT, 'the digest of the database is wrong');
    }
    this.ended = true;
  }
}
