// The reading end of one kind of stream from one member: dials, with retries, and reads frames.

import { type Counter, failpoints, TetcdError, utf8FromBytes } from '../base/index.ts';
import type { Timer } from '../env/index.ts';
import type { raftpb } from '../protocol/index.ts';
import { hostOfUrl } from './address.ts';
import type { FrameDecoder } from './codec/frame-codec.ts';
import {
  CLUSTER_MISMATCH,
  HEADER_NAMES,
  INCOMPATIBLE_VERSION,
  offersStreams,
} from './compatibility.ts';
import { failureText, type PeerContext } from './context.ts';
import { type AnswerHead, type ClientConnection, requestHeadBytes } from './http1/index.ts';
import { DIAL_RETRY_MS, REFUSAL_BYTES_MAX, TIMER_SLACK } from './limits.ts';
import type { PeerStatus } from './peer-status.ts';
import type { StreamKind } from './stream-kind.ts';
import { RECEIPTS } from './types.ts';
import type { UrlPicker } from './url-picker.ts';

export const REMOVED_REASON = 'the member has been permanently removed from the cluster';

interface StreamReaderOptions {
  readonly context: PeerContext;
  readonly kind: StreamKind;
  readonly peer: bigint;
  readonly status: PeerStatus;
  readonly picker: UrlPicker;
}

export class StreamReader {
  readonly #options: StreamReaderOptions;
  #connection: ClientConnection | undefined;
  #retry: Timer | undefined;
  #deadline: Timer | undefined;
  #lastDialMs = Number.NEGATIVE_INFINITY;
  #lastReadMs = 0;
  #url = '';
  #answer: AnswerHead | undefined;
  #decoder: FrameDecoder | undefined;
  /** Cached, since every message adds to it; set together with the decoder. */
  #received: Counter | undefined;
  #refusal = '';
  #stopped = false;

  constructor(options: StreamReaderOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#dial();
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#deadline?.cancel();
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  async #dial(): Promise<void> {
    const { context, picker } = this.#options;
    this.#lastDialMs = context.nowMs();
    this.#url = picker.pick();
    let connection: ClientConnection;
    try {
      connection = await context.dial(this.#url);
    } catch (error) {
      this.#fail(failureText(error));
      return;
    }
    if (this.#stopped) {
      connection.destroy();
      return;
    }
    this.#begin(connection);
  }

  #begin(connection: ClientConnection): void {
    const { context, kind, status } = this.#options;
    this.#connection = connection;
    this.#answer = undefined;
    this.#decoder = undefined;
    this.#refusal = '';
    this.#lastReadMs = context.nowMs();
    const request = requestHeadBytes({
      method: 'GET',
      path: `${kind.path}/${context.local}`,
      host: hostOfUrl(this.#url),
      headers: { ...context.headers(), [HEADER_NAMES.TO]: status.id },
      bodyLength: undefined,
      close: false,
    });
    connection.start(request, {
      onHead: (head) => this.#onHead(head),
      onBody: (bytes) => this.#onBody(bytes),
      onEnd: () => this.#onEnd('EOF'),
      onFail: (error) => this.#onEnd(error.message),
    });
    this.#armDeadline(this.#silenceMsMax);
  }

  #onHead(head: AnswerHead): void {
    const { context, kind, peer, status } = this.#options;
    this.#answer = head;
    this.#lastReadMs = context.nowMs();
    if (!offersStreams(head.headers)) {
      this.#giveUp('unsupported stream type');
      return;
    }
    if (head.status !== 200) return;
    const ends = { local: context.memberId, remote: peer };
    this.#decoder = kind.newDecoder(ends, this.#onMessage);
    this.#received = context.metrics.receivedBytes(status.id);
    status.activate();
    context.log.info('established TCP streaming connection with remote peer', this.#fields());
  }

  #onBody(bytes: Uint8Array): void {
    this.#lastReadMs = this.#options.context.nowMs();
    if (this.#decoder === undefined) {
      if (this.#refusal.length + bytes.length > REFUSAL_BYTES_MAX) this.#giveUp('a long refusal');
      else this.#refusal += utf8FromBytes(bytes);
      return;
    }
    try {
      // Messages keep views of the copy.
      this.#decoder.feed(new Uint8Array(bytes));
    } catch (error) {
      if (!(error instanceof TetcdError)) throw error;
      const { context, status } = this.#options;
      context.metrics.receivedFailures(status.id).value++;
      this.#giveUp(error.message);
    }
  }

  readonly #onMessage = (message: raftpb.Message, size: number): void => {
    const { context, status } = this.#options;
    // An earlier message of the same piece may have stopped this link.
    if (this.#stopped || failpoints.active?.hit('raftDropHeartbeat') !== undefined) return;
    this.#received!.value += size;
    const receipt = context.host.receive(message);
    if (receipt === RECEIPTS.ACCEPTED) return;
    context.metrics.receivedFailures(status.id).value++;
    context.log.warn('failed to process Raft message', {
      ...this.#fields(),
      'message-type': message.type,
      error: receipt,
    });
  };

  /** End of the response: of a stream, or of a refusal. */
  #onEnd(reason: string): void {
    const answer = this.#answer;
    if (answer === undefined || answer.status === 200 || this.#decoder !== undefined) {
      this.#giveUp(reason);
    } else this.#giveUp(this.#refused(answer));
  }

  #refused(answer: AnswerHead): string {
    const { context, status } = this.#options;
    const text = this.#refusal.replace(/\n$/, '');
    switch (answer.status) {
      case 410:
        context.host.onRemoved(REMOVED_REASON);
        return REMOVED_REASON;
      case 404:
        return `peer ${status.id} failed to find local node ${context.local}`;
      case 412:
        break;
      default:
        return `unhandled http status ${answer.status}`;
    }
    const ids = { 'local-member-id': context.local, 'remote-peer-id': status.id, error: text };
    if (text === INCOMPATIBLE_VERSION) {
      context.log.warn(
        'request sent was ignored by remote peer due to server version incompatibility',
        ids,
      );
      return text;
    }
    if (text === CLUSTER_MISMATCH) {
      context.log.warn('request sent was ignored by remote peer due to cluster ID mismatch', {
        ...ids,
        'remote-peer-cluster-id': answer.headers.get('x-etcd-cluster-id') ?? '',
        'local-member-cluster-id': context.cluster,
      });
      return text;
    }
    return `unhandled error ${JSON.stringify(text)} when precondition failed`;
  }

  /** Ends this connection and dials again after a delay. */
  #giveUp(reason: string): void {
    const connection = this.#connection;
    if (connection === undefined || this.#stopped) return;
    this.#connection = undefined;
    this.#deadline?.cancel();
    connection.destroy();
    if (this.#decoder === undefined) {
      this.#fail(reason);
      return;
    }
    const { context, kind, status } = this.#options;
    this.#decoder = undefined;
    context.log.warn('lost TCP streaming connection with remote peer', {
      ...this.#fields(),
      error: reason,
    });
    if (reason !== 'EOF') status.deactivate({ source: kind.name, action: 'read' }, reason);
    this.#dialLater();
  }

  /** A dial failed. */
  #fail(reason: string): void {
    if (this.#stopped) return;
    const { kind, picker, status } = this.#options;
    picker.unreachable(this.#url);
    status.deactivate({ source: kind.name, action: 'dial' }, reason);
    this.#dialLater();
  }

  #dialLater(): void {
    if (this.#stopped) return;
    const { context } = this.#options;
    const waitMs = Math.max(0, this.#lastDialMs + DIAL_RETRY_MS - context.nowMs());
    this.#retry = context.env.timers.after(waitMs, () => void this.#dial());
  }

  /**
   * A member answers a dial immediately. An endpoint that accepts and does not answer, such as a proxy in
   * front of a member that is starting, is dialled again sooner than a silent stream.
   */
  get #silenceMsMax(): number {
    const { ioTimeoutMs, dialTimeoutMs } = this.#options.context;
    return this.#answer === undefined ? Math.min(ioTimeoutMs, dialTimeoutMs) : ioTimeoutMs;
  }

  #armDeadline(delayMs: number): void {
    this.#deadline?.cancel();
    const { context } = this.#options;
    const look = () => {
      const leftMs = this.#lastReadMs + this.#silenceMsMax - context.nowMs();
      if (leftMs > 0) this.#armDeadline(leftMs);
      else this.#giveUp(`${this.#url}: i/o timeout`);
    };
    const slackMs = TIMER_SLACK * context.ioTimeoutMs;
    this.#deadline = context.env.timers.after(delayMs, look, slackMs);
  }

  #fields(): Record<string, unknown> {
    const { context, kind, status } = this.#options;
    return {
      'stream-reader-type': kind.name,
      'local-member-id': context.local,
      'remote-peer-id': status.id,
    };
  }
}
