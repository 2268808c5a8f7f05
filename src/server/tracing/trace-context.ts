// W3C Trace Context: which span of another process a request belongs to (`traceparent`, `tracestate`).

import type { Metadata } from '../../grpc/index.ts';

/** The span of a client, in which its request was made. */
export interface RemoteParent {
  /** 16 bytes. */
  readonly traceId: Uint8Array;
  /** 8 bytes. */
  readonly spanId: Uint8Array;
  readonly sampled: boolean;
  /** `tracestate` as it came; empty if there is none. */
  readonly traceState: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const TRACESTATE_CHARS_MAX = 512;

/** Undefined without a valid `traceparent`, as the specification asks for. */
export function remoteParentOf(metadata: Pick<Metadata, 'get'>): RemoteParent | undefined {
  const text = metadata.get('traceparent');
  const match = typeof text === 'string' ? TRACEPARENT.exec(text) : null;
  if (match === null) return undefined;
  const [, version, traceHex, spanHex, flags, more] = match;
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceHex!) || /^0+$/.test(spanHex!)) return undefined;
  const state = metadata.get('tracestate');
  const isKept = typeof state === 'string' && state.length <= TRACESTATE_CHARS_MAX;
  return {
    traceId: Uint8Array.from(Buffer.from(traceHex!, 'hex')),
    spanId: Uint8Array.from(Buffer.from(spanHex!, 'hex')),
    sampled: (Number.parseInt(flags!, 16) & 1) === 1,
    traceState: isKept ? state : '',
  };
}
