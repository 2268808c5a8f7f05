// Spans as the messages of OTLP, the OpenTelemetry protocol, version 1: the request of its Export and
// what is in it, of which only the fields are here that are written. Numbers are those of
// opentelemetry/proto/trace/v1/trace.proto. Times are fixed64, in nanoseconds since the epoch.

import type { Attributes, AttributeValue, Span } from './span.ts';

export const EXPORT_PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

/** Names of the instrumentations, which are etcd's. */
export const SCOPES = {
  RPC: 'go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc',
  SERVER: 'go.etcd.io/etcd',
} as const;

const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;
const STATUS_ERROR = 2;
/** Flags of a span: sampled; whether its parent is remote is known, and is so. */
const FLAG_SAMPLED = 0x1;
const FLAG_HAS_IS_REMOTE = 0x100;
const FLAG_IS_REMOTE = 0x200;

/** The request that exports the spans of a resource with these attributes. */
export function encodeSpans(resource: Attributes, spans: readonly Span[]): Uint8Array {
  const scopes = new Map<string, Span[]>();
  for (const span of spans) {
    const ofScope = scopes.get(span.origin.scope);
    if (ofScope === undefined) scopes.set(span.origin.scope, [span]);
    else ofScope.push(span);
  }
  const scopeSpans = [...scopes].map(([name, ofScope]) =>
    message(2, message(1, text(1, name)), ...ofScope.map(encodeSpan)),
  );
  return message(1, message(1, ...attributes(1, resource)), ...scopeSpans);
}

function encodeSpan(span: Span): Uint8Array {
  const { origin, events, failure } = span;
  const { parentId, isRemote } = origin;
  const flags = FLAG_SAMPLED | FLAG_HAS_IS_REMOTE | (isRemote ? FLAG_IS_REMOTE : 0);
  return message(
    2,
    bytes(1, origin.traceId),
    bytes(2, origin.spanId),
    text(3, origin.traceState),
    bytes(4, parentId),
    text(5, origin.name),
    varint(6, origin.kind),
    time(7, origin.startMs),
    time(8, span.endMs ?? origin.startMs),
    ...attributes(9, span.attributes),
    ...events.map((event) =>
      message(11, time(1, event.wallMs), text(2, event.name), ...attributes(3, event.attributes)),
    ),
    message(15, text(2, failure ?? ''), varint(3, failure === undefined ? 0 : STATUS_ERROR)),
    fixed32(16, flags),
  );
}

function attributes(number: number, all: Attributes): Uint8Array[] {
  return Object.entries(all).map(([key, value]) =>
    message(number, text(1, key), message(2, attributeValue(value))),
  );
}

/** Zeros are written: each is a choice of a oneof. */
function attributeValue(value: AttributeValue): Uint8Array {
  if (typeof value === 'string') return bytes(1, Buffer.from(value), true);
  if (typeof value === 'boolean') return varint(2, Number(value), true);
  return varint(3, value, true);
}

// --- The wire format -------------------------------------------------------------------------------

const NOTHING = new Uint8Array(0);

function message(number: number, ...fields: readonly Uint8Array[]): Uint8Array {
  return bytes(number, Buffer.concat(fields), true);
}

function text(number: number, value: string): Uint8Array {
  return bytes(number, Buffer.from(value));
}

function bytes(number: number, value: Uint8Array, always = false): Uint8Array {
  if (value.length === 0 && !always) return NOTHING;
  return Buffer.concat([tag(number, WIRE.BYTES), varintBytes(BigInt(value.length)), value]);
}

function varint(number: number, value: number | bigint, always = false): Uint8Array {
  if (Number(value) === 0 && !always) return NOTHING;
  return Buffer.concat([tag(number, WIRE.VARINT), varintBytes(BigInt.asUintN(64, BigInt(value)))]);
}

/** Of milliseconds since the epoch, to the microsecond. */
function time(number: number, wallMs: number): Uint8Array {
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(BigInt(Math.round(wallMs * 1000)) * 1000n);
  return Buffer.concat([tag(number, WIRE.FIXED64), value]);
}

function fixed32(number: number, value: number): Uint8Array {
  const encoded = Buffer.alloc(4);
  encoded.writeUInt32LE(value);
  return Buffer.concat([tag(number, WIRE.FIXED32), encoded]);
}

function tag(number: number, type: number): Uint8Array {
  return varintBytes(BigInt(number * 8 + type));
}

function varintBytes(value: bigint): Uint8Array {
  const groups: number[] = [];
  let rest = value;
  for (; rest >= 128n; rest >>= 7n) groups.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...groups, Number(rest)]);
}
