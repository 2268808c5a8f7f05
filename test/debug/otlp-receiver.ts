// A collector of OpenTelemetry for tests: a gRPC server that keeps the spans it gets, or treats them badly.
// It shares no code with ours but the server: messages are read by protobufjs, from a schema of its own.

import protobuf from 'protobufjs';
import { createNodeClock, createNodeTimers } from '../../src/env/index.ts';
import { BYTES_ENCODER, createServer, type Server, STATUS } from '../../src/grpc/index.ts';
import { bind, type PortListener } from '../../src/net/index.ts';

const SCHEMA = `
syntax = "proto3";
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
message Scope { string name = 1; string version = 2; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4;
  string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9; repeated Event events = 11; Status status = 15;
  fixed32 flags = 16;
}
message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; }
message Status { string message = 2; int32 code = 3; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue {
  oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; }
}
`;
const type = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType('Request');

type Attributes = Readonly<Record<string, string | boolean>>;

/** Ids in hexadecimal digits; 64-bit numbers as decimal strings. */
export interface ReceivedSpan {
  readonly resource: Attributes;
  readonly scope: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attributes;
  readonly events: readonly { readonly name: string; readonly attributes: Attributes }[];
  readonly status: { readonly code: number; readonly message: string } | undefined;
  readonly flags: number;
}

/** What the collector does with spans. */
type Behaviour = 'takes' | 'stalls' | 'refuses';

export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  behaviour: Behaviour;
  requestCount = 0;
  readonly #server: Server;
  readonly #listener: PortListener;
  #wake: (() => void)[] = [];

  static async start(behaviour: Behaviour = 'takes'): Promise<OtlpReceiver> {
    const server = createServer({ timers: createNodeTimers(), clock: createNodeClock() });
    const listener = await bind({ address: { host: '127.0.0.1', port: 0 } });
    listener.serve({ http2: server });
    return new OtlpReceiver(server, listener, behaviour);
  }

  private constructor(server: Server, listener: PortListener, behaviour: Behaviour) {
    this.#server = server;
    this.#listener = listener;
    this.behaviour = behaviour;
    const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
    server.unary(path, (call, bytes) => {
      this.requestCount++;
      if (this.behaviour === 'refuses') call.fail(STATUS.INVALID_ARGUMENT, 'not these');
      else if (this.behaviour === 'takes') {
        this.spans.push(...spansIn(bytes));
        call.reply(BYTES_ENCODER, new Uint8Array(0));
      }
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  get address(): string {
    return `127.0.0.1:${this.#listener.address.port}`;
  }

  /** Resolves with what `look` finds among the spans, looking after each request. */
  async find<T>(look: (spans: readonly ReceivedSpan[]) => T | undefined): Promise<T> {
    for (;;) {
      const found = look(this.spans);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async close(): Promise<void> {
    this.#server.close();
    await this.#listener.close();
  }
}

type Plain = Readonly<Record<string, never>>;

function spansIn(bytes: Uint8Array): ReceivedSpan[] {
  const options = { longs: String, defaults: true, arrays: true, oneofs: true };
  const request = type.toObject(type.decode(Uint8Array.from(bytes)), options) as {
    resource_spans: { resource: { attributes: Plain[] }; scope_spans: ScopeSpans[] }[];
  };
  return request.resource_spans.flatMap(({ resource, scope_spans: scopes }) =>
    scopes.flatMap(({ scope, spans }) =>
      spans.map((span) => readSpan(span, attributesOf(resource.attributes), scope.name)),
    ),
  );
}

interface ScopeSpans {
  readonly scope: { readonly name: string };
  readonly spans: readonly Record<string, unknown>[];
}

function readSpan(
  span: Record<string, unknown>,
  resource: Attributes,
  scope: string,
): ReceivedSpan {
  const hex = (name: string): string => Buffer.from(span[name] as Uint8Array).toString('hex');
  const events = span['events'] as { name: string; attributes: Plain[] }[];
  return {
    ...{ resource, scope },
    traceId: hex('trace_id'),
    spanId: hex('span_id'),
    parentId: hex('parent_span_id'),
    traceState: span['trace_state'] as string,
    name: span['name'] as string,
    kind: span['kind'] as number,
    startNs: BigInt(span['start_time_unix_nano'] as string),
    endNs: BigInt(span['end_time_unix_nano'] as string),
    attributes: attributesOf(span['attributes'] as Plain[]),
    events: events.map(({ name, attributes }) => ({ name, attributes: attributesOf(attributes) })),
    status: (span['status'] as ReceivedSpan['status'] | null) ?? undefined,
    flags: span['flags'] as number,
  };
}

function attributesOf(pairs: readonly Plain[]): Attributes {
  const entries = pairs.map((pair) => {
    const { key, value } = pair as unknown as {
      key: string;
      value: Record<string, string | boolean> & { value: string };
    };
    return [key, value[value.value]!] as const;
  });
  return Object.fromEntries(entries);
}
