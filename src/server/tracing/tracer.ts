// Makes the spans of requests:
//
//     etcdserverpb.KV/Put                the call, by the transport
//       put                              behind the guards, with what the request asks for
//         propose                        from the proposal to its result
//           wal_sync                     the append to this member's log that has the entry
//           apply                        the entry, by the state machine
//
// Whether a call is traced is decided when it begins: as its client has decided, or by lot. One that is
// not leaves nothing behind.

import type { Clock, Entropy } from '../../env/index.ts';
import { STATUS, type StatusCode } from '../../grpc/index.ts';
import {
  ETCD_ERRORS,
  type EtcdErrorName,
  etcdserverpb,
  type raftpb,
} from '../../protocol/index.ts';
import type { Around, Call, CallObserver, StreamOpener, UnaryHandler } from '../../rpc/index.ts';
import { type ApplyResult, RequestEnvelope, readEnvelope } from '../../store/index.ts';
import type { Proposal } from '../consensus/proposals.ts';
import type { AppendTracing, ProposalTracing } from '../consensus/tracing.ts';
import { SPAN_EVENTS_MAX } from '../limits.ts';
import type { RequestSpan, RequestSpans } from '../services/request-spans.ts';
import { SCOPES } from './otlp.ts';
import { describeRangeStream, descriptionOf } from './request-attributes.ts';
import { type Attributes, SPAN_KINDS, Span, type SpanParent } from './span.ts';
import { type RemoteParent, remoteParentOf } from './trace-context.ts';

interface TracerParts {
  readonly env: { readonly clock: Clock; readonly entropy: Entropy };
  /** Of the calls of clients that do not say, 0 to 1. */
  readonly sampledShare: number;
  /** Where clients connect to; undefined if there is no single address. */
  readonly serverAddress: { readonly host: string; readonly port: number } | undefined;
  /** Takes a span that has ended. */
  readonly push: (span: Span) => void;
  /** When the entry that is being applied was begun, on the monotonic clock. */
  readonly applyBeganMs: () => number;
}

/** The spans of a call under way, which end with it at the latest. */
interface OpenCall {
  readonly rpc: Span;
  readonly inner: Set<Span>;
}

const rangeStream = etcdserverpb.KVService.methods.rangeStream;
const NO_PARENT = new Uint8Array(0);
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** The statuses that are a server's fault, as OpenTelemetry's conventions have it. */
const SERVER_FAILURES: ReadonlySet<StatusCode> = new Set<StatusCode>([
  STATUS.UNKNOWN,
  STATUS.DEADLINE_EXCEEDED,
  STATUS.UNIMPLEMENTED,
  STATUS.INTERNAL,
  STATUS.UNAVAILABLE,
  STATUS.DATA_LOSS,
]);

export class Tracer implements CallObserver, Around, ProposalTracing, AppendTracing, RequestSpans {
  readonly #parts: TracerParts;
  readonly #calls = new Map<unknown, OpenCall>();
  /** The span of the request whose handler runs now; a proposal that it makes belongs to it. */
  #current: Span | undefined;
  /** Proposals that are traced, by the lower part of their request ids. */
  readonly #proposals = new Map<number, TracedProposal>();
  /** Appends of such proposals that are not durable yet, by sequence. */
  readonly #appends = new Map<number, readonly Span[]>();
  readonly #envelope = new RequestEnvelope();

  constructor(parts: TracerParts) {
    this.#parts = parts;
  }

  // --- Calls -------------------------------------------------------------------------------------

  began(call: Call): void {
    const remote = remoteParentOf(call.metadata);
    const traceId = remote?.traceId ?? this.#parts.env.entropy.bytes(TRACE_ID_BYTES);
    if (!(remote?.sampled ?? this.#isDrawn(traceId))) return;
    const name = call.path.slice(1);
    const { serverAddress } = this.#parts;
    const rpc = this.#create(
      { traceId, remote, name },
      {
        'rpc.method': name,
        'rpc.system.name': 'grpc',
        ...(serverAddress && {
          'server.address': serverAddress.host,
          'server.port': serverAddress.port,
        }),
      },
    );
    this.#calls.set(call, { rpc, inner: new Set() });
  }

  ended(call: Pick<Call, 'path'>, status: StatusCode, message: string): void {
    const open = this.#calls.get(call);
    if (open === undefined) return;
    this.#calls.delete(call);
    for (const span of open.inner) this.end(span);
    open.rpc.attributes['rpc.response.status_code'] = statusText(status);
    if (SERVER_FAILURES.has(status)) open.rpc.failure = message;
    this.end(open.rpc);
  }

  /** As OpenTelemetry's sampler of this name: by the lower half of the id. */
  #isDrawn(traceId: Uint8Array): boolean {
    const { buffer, byteOffset } = traceId;
    const view = new DataView(buffer, byteOffset, TRACE_ID_BYTES);
    const drawn = view.getUint32(8) / 2 ** 32 + view.getUint32(12) / 2 ** 64;
    return drawn < this.#parts.sampledShare;
  }

  // --- Requests ----------------------------------------------------------------------------------

  unary<Request>(path: string, handler: UnaryHandler<Request>): UnaryHandler<Request> {
    const describe = descriptionOf(path);
    if (describe === undefined) return handler;
    return (call, request, bytes) => {
      const open = this.#calls.get(call);
      if (open === undefined) {
        handler(call, request, bytes);
        return;
      }
      const { name, attributes } = describe(request);
      this.#current = this.#beginInner(open, name, attributes);
      try {
        handler(call, request, bytes);
      } finally {
        this.#current = undefined;
      }
    };
  }

  stream(path: string, opener: StreamOpener): StreamOpener {
    if (path !== rangeStream.path) return opener;
    return (call) => {
      const handler = opener(call);
      const open = this.#calls.get(call);
      if (open === undefined) return handler;
      return {
        onMessage: (bytes) => {
          const request = readable(bytes);
          if (request !== undefined) {
            const { name, attributes } = describeRangeStream(request);
            this.#beginInner(open, name, attributes);
          }
          handler.onMessage(bytes);
        },
        onEnd: () => handler.onEnd(),
        onCancel: () => handler.onCancel(),
        onDrain: () => handler.onDrain(),
      };
    };
  }

  begin(call: object, name: string, attributes: Attributes): RequestSpan | undefined {
    const open = this.#calls.get(call);
    if (open === undefined) return undefined;
    const span = this.#beginInner(open, name, attributes);
    return {
      end: () => {
        if (open.inner.delete(span)) this.end(span);
      },
    };
  }

  #beginInner(open: OpenCall, name: string, attributes: Attributes): Span {
    const span = this.beginChild(open.rpc, name, attributes);
    open.inner.add(span);
    return span;
  }

  // --- Proposals and their entries ---------------------------------------------------------------

  follow(idLow: number, proposal: Proposal): Proposal {
    const request = this.#current;
    if (request === undefined) return proposal;
    addEvent(request, 'Send raft proposal', this.nowMs());
    const traced = new TracedProposal(this, request, proposal, () => {
      this.#proposals.delete(idLow);
    });
    this.#proposals.set(idLow, traced);
    return traced;
  }

  appendBegan(sequence: number, entries: readonly raftpb.Entry[]): void {
    if (this.#proposals.size === 0) return;
    const spans: Span[] = [];
    for (const { data } of entries) {
      const proposal = this.#proposals.get(this.#idLowOf(data));
      if (proposal !== undefined) spans.push(this.beginChild(proposal.span, 'wal_sync', {}));
    }
    if (spans.length > 0) this.#appends.set(sequence, spans);
  }

  appendEnded(sequence: number): void {
    const spans = this.#appends.get(sequence);
    if (spans === undefined) return;
    this.#appends.delete(sequence);
    for (const span of spans) this.end(span);
  }

  /** -1 for an entry that is no request. */
  #idLowOf(data: Uint8Array): number {
    try {
      readEnvelope(data, this.#envelope);
      return this.#envelope.idLow;
    } catch {
      // It is refused where it is applied.
      return -1;
    }
  }

  // --- Spans -------------------------------------------------------------------------------------

  nowMs(): number {
    return this.#parts.env.clock.wallMs();
  }

  /** The span of the entry that was applied just now. */
  addApply(parent: Span): void {
    const endMs = this.nowMs();
    const { clock } = this.#parts.env;
    const tookMs = clock.monotonicMs() - this.#parts.applyBeganMs();
    this.end(this.beginChild(parent, 'apply', {}, endMs - tookMs), endMs);
  }

  beginChild(parent: SpanParent, name: string, attributes: Attributes, startMs?: number): Span {
    const { entropy } = this.#parts.env;
    return new Span(
      {
        ...{ traceId: parent.traceId, spanId: entropy.bytes(SPAN_ID_BYTES) },
        ...{ parentId: parent.spanId, traceState: parent.traceState, isRemote: false },
        ...{ scope: SCOPES.SERVER, name, kind: SPAN_KINDS.INTERNAL },
        startMs: startMs ?? this.nowMs(),
      },
      attributes,
    );
  }

  #create(
    of: {
      readonly traceId: Uint8Array;
      readonly remote: RemoteParent | undefined;
      readonly name: string;
    },
    attributes: Attributes,
  ): Span {
    const { traceId, remote, name } = of;
    return new Span(
      {
        ...{ traceId, spanId: this.#parts.env.entropy.bytes(SPAN_ID_BYTES) },
        ...{ parentId: remote?.spanId ?? NO_PARENT, traceState: remote?.traceState ?? '' },
        ...{ isRemote: true, scope: SCOPES.RPC, name, kind: SPAN_KINDS.SERVER },
        startMs: this.nowMs(),
      },
      attributes,
    );
  }

  /** Once for each span. */
  end(span: Span, endMs: number = this.nowMs()): void {
    // The wall clock may have been set back meanwhile.
    span.endMs = Math.max(endMs, span.origin.startMs);
    this.#parts.push(span);
  }
}

class TracedProposal implements Proposal {
  readonly span: Span;
  readonly #tracer: Tracer;
  readonly #request: Span;
  readonly #proposal: Proposal;
  readonly #forget: () => void;

  constructor(tracer: Tracer, request: Span, proposal: Proposal, forget: () => void) {
    this.#tracer = tracer;
    this.#request = request;
    this.#proposal = proposal;
    this.#forget = forget;
    this.span = tracer.beginChild(request, 'propose', {});
  }

  complete(result: ApplyResult): void {
    this.#forget();
    this.#tracer.addApply(this.span);
    addEvent(this.#request, 'Receive raft result', this.#tracer.nowMs());
    this.#tracer.end(this.span);
    this.#proposal.complete(result);
  }

  fail(error: EtcdErrorName): void {
    this.#forget();
    const { message } = ETCD_ERRORS[error];
    addEvent(this.#request, 'exception', this.#tracer.nowMs(), {
      'exception.type': error,
      'exception.message': message,
    });
    this.span.failure = message;
    this.#tracer.end(this.span);
    this.#proposal.fail(error);
  }

  isWanted(): boolean {
    const isWanted = this.#proposal.isWanted?.() ?? true;
    if (!isWanted) {
      this.#forget();
      this.#tracer.end(this.span);
    }
    return isWanted;
  }
}

function addEvent(span: Span, name: string, wallMs: number, attributes: Attributes = {}): void {
  // A request that is over is being sent.
  if (span.endMs === undefined && span.events.length < SPAN_EVENTS_MAX) {
    span.addEvent(name, wallMs, attributes);
  }
}

function readable(bytes: Uint8Array): etcdserverpb.RangeRequest | undefined {
  try {
    return rangeStream.request.decodeRequest(Uint8Array.from(bytes));
  } catch {
    // The handler answers it.
    return undefined;
  }
}

/** `INVALID_ARGUMENT`, or a number for what is no status of gRPC. */
function statusText(status: StatusCode): string {
  if (status === STATUS.CANCELED) return 'CANCELLED';
  return Object.entries(STATUS).find(([, code]) => code === status)?.[0] ?? `CODE(${status})`;
}
