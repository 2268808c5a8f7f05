// etcd's names of the operations of a log entry, as labels of its metrics.

import { REQUEST_KIND, type RequestKind } from './request-envelope.ts';

const NAMES: ReadonlyMap<RequestKind, string> = new Map(
  Object.entries(REQUEST_KIND).map(([constant, kind]) => [kind, inCamelCase(constant)]),
);

/** Such as `LeaseGrant`. */
export function operationName(kind: RequestKind): string {
  return NAMES.get(kind) ?? 'unknown';
}

function inCamelCase(constant: string): string {
  return constant.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());
}
