// Metadata of a client as it is passed on: everything but what belongs to the connection.

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
