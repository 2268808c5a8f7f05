// A span: one operation of a trace, with its time, its attributes and what happened in it.

export type AttributeValue = string | boolean | number | bigint;
export type Attributes = Readonly<Record<string, AttributeValue>>;

export const SPAN_KINDS = { INTERNAL: 1, SERVER: 2 } as const;
type SpanKind = (typeof SPAN_KINDS)[keyof typeof SPAN_KINDS];

interface SpanEvent {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly wallMs: number;
  readonly attributes: Attributes;
}

/** What a span is part of. */
export interface SpanParent {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly traceState: string;
}

interface SpanOrigin {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  /** Empty for the first span of a trace. */
  readonly parentId: Uint8Array;
  readonly traceState: string;
  /** The parent is another process's; so it is said of calls without one, too, as by etcd. */
  readonly isRemote: boolean;
  /** The instrumentation that makes it; see `SCOPES` of `otlp.ts`. */
  readonly scope: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
}

export class Span implements SpanParent {
  readonly origin: SpanOrigin;
  readonly attributes: Record<string, AttributeValue>;
  readonly events: SpanEvent[] = [];
  /** Undefined until it has ended. */
  endMs: number | undefined;
  /** Why it failed, if that was the server's fault. */
  failure: string | undefined;

  constructor(origin: SpanOrigin, attributes: Attributes) {
    this.origin = origin;
    this.attributes = { ...attributes };
  }

  get traceId(): Uint8Array {
    return this.origin.traceId;
  }

  get spanId(): Uint8Array {
    return this.origin.spanId;
  }

  get traceState(): string {
    return this.origin.traceState;
  }

  addEvent(name: string, wallMs: number, attributes: Attributes = {}): void {
    this.events.push({ name, wallMs, attributes });
  }
}
