// Requests of other members: raft messages, streams, snapshots and probes are answered here, all others
// by the member.

import { bytesFromUtf8, ERROR_CODES, hasCode } from '../base/index.ts';
import { parseId, SERVER_RELEASE } from '../membership/index.ts';
import { raftpb } from '../protocol/index.ts';
import { checkMessage } from './codec/check-message.ts';
import { HEADER_NAMES, refusalOfSender } from './compatibility.ts';
import { failureText, type PeerContext } from './context.ts';
import {
  type Answer,
  type ByteBudget,
  emptyAnswer,
  type ServerExchange,
  textAnswer,
} from './http1/index.ts';
import { FRAME_BYTES_MAX, POSTED_BYTES_MAX, SMALL_BODY_BYTES_MAX } from './limits.ts';
import type { Peer } from './peer.ts';
import { PROBING_PATH, probingBody } from './prober.ts';
import { refusalOfReceipt } from './receipt-answer.ts';
import type { SnapshotReceiver } from './snapshot-receiver.ts';
import { STREAM_KINDS } from './stream-kind.ts';
import { RECEIPTS } from './types.ts';

const RAFT_PATH = '/raft';
const SNAPSHOT_PATH = '/raft/snapshot';
const STREAM_PREFIX = '/raft/stream/';

interface RoutesOptions {
  readonly context: PeerContext;
  readonly snapshots: SnapshotReceiver;
  peer(id: bigint): Peer | undefined;
  /** Adds a peer that named its address; a bad address is only logged. */
  addRemote(id: bigint, urls: readonly string[]): void;
}

export class Routes {
  readonly #options: RoutesOptions;
  readonly #posted: ByteBudget = { bytesLeft: POSTED_BYTES_MAX };

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  /** Answers now or later. Never throws. */
  serve(exchange: ServerExchange): void {
    const { path } = exchange.head;
    if (path.startsWith(STREAM_PREFIX)) this.#serveStream(exchange);
    else if (path === RAFT_PATH) this.#later(exchange, this.#serveMessage(exchange));
    else if (path === SNAPSHOT_PATH) this.#later(exchange, this.#serveSnapshot(exchange));
    else if (path === PROBING_PATH) exchange.answer(this.#probing());
    else if (path.startsWith(`${RAFT_PATH}/`)) exchange.answer(NOT_FOUND);
    else this.#later(exchange, this.#serveOther(exchange));
  }

  #later(exchange: ServerExchange, answering: Promise<Answer>): void {
    const { context } = this.#options;
    context.begin();
    void answering
      .catch((error: unknown) => {
        const fields = { 'local-member-id': context.local, error: failureText(error) };
        context.log.warn('failed to answer a request of a peer', fields);
        return textAnswer(500, 'Internal Server Error');
      })
      .then((answer) => {
        const broken = answer.status === 500 && exchange.head.path === RAFT_PATH;
        exchange.answer(answer, { close: broken });
        context.end();
      });
  }

  #probing(): Answer {
    const body = bytesFromUtf8(probingBody(this.#options.context.env.clock.wallMs()));
    return { status: 200, headers: {}, body, sniffedType: 'text/plain; charset=utf-8' };
  }

  // --- single messages -----------------------------------------------------------------------------

  async #serveMessage(exchange: ServerExchange): Promise<Answer> {
    const { context } = this.#options;
    const { host, log, local, metrics } = context;
    if (exchange.head.method !== 'POST') return methodNotAllowed('POST');
    const headers = { [HEADER_NAMES.CLUSTER]: context.cluster };
    const refusal = this.#refusalOf(exchange);
    if (refusal !== undefined) return textAnswer(412, refusal, headers);
    this.#addSender(exchange);
    const fields = { 'local-member-id': local };
    let bytes: Uint8Array;
    try {
      bytes = await exchange.takeBody().collect(FRAME_BYTES_MAX, this.#posted);
    } catch (error) {
      log.warn('failed to read Raft message', { ...fields, error: failureText(error) });
      metrics.receivedFailures(exchange.remoteAddress).value++;
      return textAnswer(400, 'error reading raft message', headers);
    }
    let message: raftpb.Message;
    try {
      message = raftpb.MessageCodec.decode(bytes);
      checkMessage(message);
    } catch (error) {
      log.warn('failed to unmarshal Raft message', { ...fields, error: failureText(error) });
      metrics.receivedFailures(exchange.remoteAddress).value++;
      return textAnswer(400, 'error unmarshalling raft message', headers);
    }
    metrics.receivedBytes(message.from.toString(16)).value += bytes.length;
    const receipt = context.stopping ? RECEIPTS.REFUSED : host.receive(message);
    if (receipt === RECEIPTS.ACCEPTED) return emptyAnswer(204, headers);
    log.warn('failed to process Raft message', {
      ...fields,
      'remote-peer-id': message.from.toString(16),
      'message-type': message.type,
      error: receipt,
    });
    return (
      refusalOfReceipt(receipt, headers) ??
      textAnswer(500, 'error processing raft message', headers)
    );
  }

  // --- snapshots -----------------------------------------------------------------------------------

  async #serveSnapshot(exchange: ServerExchange): Promise<Answer> {
    const { context, snapshots } = this.#options;
    const failures = context.metrics.snapshotReceiveFailures('UNKNOWN_SNAPSHOT_SENDER');
    if (exchange.head.method !== 'POST') {
      failures.value++;
      return methodNotAllowed('POST');
    }
    const headers = { [HEADER_NAMES.CLUSTER]: context.cluster };
    const refusal = this.#refusalOf(exchange);
    if (refusal !== undefined) {
      failures.value++;
      return textAnswer(412, refusal, headers);
    }
    this.#addSender(exchange);
    return await snapshots.receive(exchange.takeBody(), exchange.remoteAddress, headers);
  }

  // --- streams -------------------------------------------------------------------------------------

  #serveStream(exchange: ServerExchange): void {
    const { context } = this.#options;
    const { log, local } = context;
    if (exchange.head.method !== 'GET') {
      exchange.answer(methodNotAllowed('GET'));
      return;
    }
    const headers = {
      [HEADER_NAMES.VERSION]: SERVER_RELEASE,
      [HEADER_NAMES.CLUSTER]: context.cluster,
    };
    const refuse = (status: number, text: string): void => {
      exchange.answer(textAnswer(status, text, headers));
    };
    const refusal = this.#refusalOf(exchange);
    if (refusal !== undefined) {
      refuse(412, refusal);
      return;
    }
    const { path, headers: asked } = exchange.head;
    const slash = path.lastIndexOf('/');
    const kind = STREAM_KINDS.find((one) => one.path === path.slice(0, slash));
    const name = path.slice(slash + 1);
    if (kind === undefined) {
      if (log.debugEnabled) {
        log.debug('ignored unexpected streaming request path', { 'local-member-id': local, path });
      }
      refuse(404, 'invalid path');
      return;
    }
    const from = idFrom(name);
    if (from === undefined) {
      log.warn('failed to parse path into ID', { 'local-member-id': local, path: name });
      refuse(404, 'invalid from');
      return;
    }
    const fields = { 'local-member-id': local, 'remote-peer-id-from': from.toString(16) };
    if (context.host.isRemoved(from)) {
      log.warn('rejected stream from remote peer because it was removed', fields);
      refuse(410, 'removed member');
      return;
    }
    const peer = this.#options.peer(from);
    if (peer === undefined) {
      this.#addRemote(from, asked.get('x-peerurls'));
      log.warn('failed to find remote peer in cluster', {
        ...fields,
        'cluster-id': context.cluster,
      });
      refuse(404, 'error sender not found');
      return;
    }
    const to = asked.get('x-raft-to') ?? '';
    if (to !== local) {
      log.warn('ignored streaming request; ID mismatch', {
        ...fields,
        'remote-peer-id-header': to,
      });
      refuse(412, 'to field mismatch');
      return;
    }
    peer.writerOf(kind).attach(exchange, headers);
  }

  // --- all else ------------------------------------------------------------------------------------

  async #serveOther(exchange: ServerExchange): Promise<Answer> {
    const { head } = exchange;
    let body: Uint8Array;
    try {
      body = await exchange.takeBody().collect(SMALL_BODY_BYTES_MAX);
    } catch (error) {
      if (hasCode(error, ERROR_CODES.LIMIT_EXCEEDED)) {
        return textAnswer(413, 'request body too large');
      }
      return textAnswer(400, 'error reading body');
    }
    const { method, path, query, headers } = head;
    return await this.#options.context.host.handle({ method, path, query, headers, body });
  }

  // --- the asking member ----------------------------------------------------------------------------

  #refusalOf(exchange: ServerExchange): string | undefined {
    const { context } = this.#options;
    return refusalOfSender(exchange.head.headers, context, context.log);
  }

  #addSender(exchange: ServerExchange): void {
    const { headers } = exchange.head;
    const from = idFrom(headers.get('x-server-from') ?? '');
    if (from !== undefined) this.#addRemote(from, headers.get('x-peerurls'));
  }

  #addRemote(id: bigint, urls: string | undefined): void {
    if (urls !== undefined && urls !== '') this.#options.addRemote(id, urls.split(','));
  }
}

const NOT_FOUND = textAnswer(404, '404 page not found');

function methodNotAllowed(allowed: string): Answer {
  return textAnswer(405, 'Method Not Allowed', { Allow: allowed });
}

function idFrom(text: string): bigint | undefined {
  try {
    return parseId(text, 'member id');
  } catch {
    return undefined;
  }
}
