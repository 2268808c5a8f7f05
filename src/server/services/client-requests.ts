// Counts requests by the release of the client library that makes them. Hot: once per request.

import {
  bytesFromLatin1,
  type Counter,
  FAMILY_CHILDREN_MAX,
  utf8FromBytes,
} from '../../base/index.ts';
import { isUtf8 } from '../../protocol/index.ts';
import { type Guard, statusOfError } from '../../rpc/index.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';

const INVALID_VERSION = statusOfError('INVALID_CLIENT_API_VERSION');

/** A guard that refuses a version which is no text. What a service calls for another is not counted. */
export function countingClients({ server }: Pick<ServerMetrics, 'server'>): Guard {
  const unary = new Map<string, Counter>();
  const streams = new Map<string, Counter>();
  return (call, { kind }) => {
    if (call.isInner === true) return undefined;
    const version = call.metadata.get('client-api-version') ?? 'unknown';
    const known = kind === 'unary' ? unary : streams;
    let counter = known.get(version);
    if (counter === undefined) {
      const bytes = bytesFromLatin1(version);
      if (!isUtf8(bytes, 0, bytes.length)) return INVALID_VERSION;
      const type = kind === 'unary' ? 'unary' : 'stream';
      counter = server.clientRequests.with(type, utf8FromBytes(bytes));
      if (known.size < FAMILY_CHILDREN_MAX) known.set(version, counter);
    }
    counter.value++;
    return undefined;
  };
}
