// The writing end of one kind of stream to one member: an endless response to its dial.

import type { Counter } from '../base/index.ts';
import type { ByteStream, Timer } from '../env/index.ts';
import type { raftpb } from '../protocol/index.ts';
import type { PeerContext } from './context.ts';
import { type ServerExchange, StallWatch } from './http1/index.ts';
import { TIMER_SLACK } from './limits.ts';
import type { PeerStatus } from './peer-status.ts';
import type { StreamKind } from './stream-kind.ts';
import { StreamQueue } from './stream-queue.ts';

interface Attached {
  readonly stream: ByteStream;
  readonly queue: StreamQueue;
  readonly stall: StallWatch;
  /** Cached, since every message adds to it. */
  readonly sent: Counter;
}

export class StreamWriter {
  readonly #context: PeerContext;
  readonly #kind: StreamKind;
  readonly #status: PeerStatus;
  readonly #peer: bigint;
  #attached: Attached | undefined;
  #tick: Timer | undefined;
  #stopped = false;

  constructor(context: PeerContext, kind: StreamKind, peer: bigint, status: PeerStatus) {
    this.#context = context;
    this.#kind = kind;
    this.#peer = peer;
    this.#status = status;
  }

  /** Whether messages can be sent here. */
  get working(): boolean {
    return this.#attached !== undefined;
  }

  /** Attaches the response to a dial. It replaces an attached one, which the other side has abandoned. */
  attach(exchange: ServerExchange, headers: Readonly<Record<string, string>>): void {
    if (this.#stopped) {
      exchange.answerStream(headers, NOBODY).destroy();
      return;
    }
    const { log } = this.#context;
    if (this.#detach())
      log.warn('closed TCP streaming connection with remote peer', this.#fields());
    let attached: Attached | undefined;
    const stream = exchange.answerStream(headers, {
      onDrain: () => {
        attached?.stall.progress();
        attached?.queue.pump();
      },
      onClose: (error) => {
        if (this.#attached === attached) this.#lose(error?.message ?? 'EOF', 'write');
      },
    });
    attached = {
      stream,
      queue: new StreamQueue(stream, this.#kind.newEncoder()),
      stall: new StallWatch(this.#context.ioTimeoutMs),
      sent: this.#context.metrics.sentBytes(this.#status.id),
    };
    this.#attached = attached;
    this.#status.activate();
    log.info('established TCP streaming connection with remote peer', this.#fields());
    this.#armTick();
  }

  /** Encodes and queues the message. False if it was dropped. */
  send(message: raftpb.Message): boolean {
    const attached = this.#attached;
    if (attached === undefined) return false;
    const size = attached.queue.add(message);
    attached.sent.value += size;
    return size > 0;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#detach()) {
      this.#context.log.warn('closed TCP streaming connection with remote peer', this.#fields());
    }
  }

  #armTick(): void {
    this.#tick?.cancel();
    const { env, ioTimeoutMs } = this.#context;
    this.#tick = env.timers.after(ioTimeoutMs / 3, () => this.#onTick(), TIMER_SLACK * ioTimeoutMs);
  }

  /** Sends a link heartbeat, and checks for a stall. */
  #onTick(): void {
    const attached = this.#attached;
    if (attached === undefined) return;
    if (attached.stall.isStalled(attached.stream, this.#context.nowMs())) {
      this.#lose('i/o timeout', 'heartbeat');
      return;
    }
    attached.sent.value += attached.queue.addHeartbeat();
    this.#armTick();
  }

  #lose(reason: string, action: string): void {
    this.#status.deactivate({ source: this.#kind.name, action }, reason);
    this.#context.metrics.sentFailures(this.#status.id).value++;
    this.#detach();
    this.#context.log.warn('lost TCP streaming connection with remote peer', {
      ...this.#fields(),
      error: reason,
    });
  }

  /** False if nothing was attached. */
  #detach(): boolean {
    const attached = this.#attached;
    if (attached === undefined) return false;
    this.#attached = undefined;
    this.#tick?.cancel();
    const lost = attached.queue.messages > 0 || attached.stream.bufferedBytes > 0;
    attached.queue.close();
    attached.stream.destroy();
    if (lost) this.#context.host.reportUnreachable(this.#peer);
    return true;
  }

  #fields(): Record<string, unknown> {
    return {
      'stream-writer-type': this.#kind.name,
      'local-member-id': this.#context.local,
      'remote-peer-id': this.#status.id,
    };
  }
}

const NOBODY = { onDrain: () => {}, onClose: () => {} };
