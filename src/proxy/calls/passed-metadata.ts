// Metadata of a client as it is passed on: everything but what belongs to the connection.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { decodeBinaryValue, type Metadata, type MetadataInit } from '../../grpc/index.ts';

/** Fields that each transport sets for itself. */
const OF_TRANSPORT: ReadonlySet<string> = new Set([
  'user-agent',
  'content-type',
  'content-length',
  'te',
  'connection',
  'host',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** The fields that say who calls, and what a stream needs: those that several clients may share. */
const OF_CALLER = ['token', 'authorization', 'hasleader'] as const;

/** Undefined if there is nothing to pass on. */
export function passedMetadata(metadata: Metadata): MetadataInit | undefined {
  let passed: Record<string, string | Uint8Array | (string | Uint8Array)[]> | undefined;
  for (const [name, text] of metadata.entries()) {
    if (name.startsWith(':') || name.startsWith('grpc-') || OF_TRANSPORT.has(name)) continue;
    const value = name.endsWith('-bin') ? decodeBinaryValue(text) : text;
    // Refused by the server before a handler sees it.
    if (value === undefined) continue;
    passed ??= {};
    const before = passed[name];
    passed[name] = before === undefined ? value : [before, value].flat();
  }
  return passed;
}

const PRINTABLE = /^[\x20-\x7e]*$/;

/** As {@link passedMetadata}, of who calls only. INVALID_ARGUMENT for what may not be sent. */
export function callerMetadata(metadata: Metadata): MetadataInit {
  const passed: Record<string, string> = {};
  for (const name of OF_CALLER) {
    const value = metadata.get(name);
    if (value === undefined) continue;
    if (!PRINTABLE.test(value)) {
      const text = `metadata ${name} has a value that is not printable ASCII`;
      throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
    }
    passed[name] = value;
  }
  return passed;
}

/** Callers of the same key may share what runs upstream. */
export function callerKey(metadata: Metadata): string {
  return OF_CALLER.map((name) => metadata.get(name) ?? '').join('\n');
}

/** Whether the call tells who makes it. */
export function hasToken(metadata: Metadata): boolean {
  return metadata.get('token') !== undefined || metadata.get('authorization') !== undefined;
}

export function requiresLeader(metadata: Metadata): boolean {
  return metadata.get('hasleader') === 'true';
}
