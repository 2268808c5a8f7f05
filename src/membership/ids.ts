// How etcd computes the identities of members and clusters: the first eight bytes, big endian, of
// a SHA-1 over what makes them distinct.

import {
  bytesFromUtf8,
  compareBytes,
  compareUint64,
  ERROR_CODES,
  TetcdError,
} from '../base/index.ts';
import type { MemberId } from './member.ts';
import { sha1 } from './sha1.ts';

interface MemberIdInput {
  /** In any order. */
  readonly peerURLs: readonly string[];
  /** The cluster token for members named at bootstrap; empty for those added at run time. */
  readonly token: string;
  /** Unix time in whole seconds for members added at run time; undefined at bootstrap. */
  readonly addedAtSeconds?: number;
}

/** The id of a member named at bootstrap or added now. */
export function memberIdFor(input: MemberIdInput): MemberId {
  const urls = sortedUrls(input.peerURLs).join('');
  const time = input.addedAtSeconds === undefined ? '' : String(input.addedAtSeconds);
  return firstEightBytes(bytesFromUtf8(urls + input.token + time));
}

/** The id of a cluster bootstrapped with these members. It never changes afterwards. */
export function clusterIdFor(memberIds: readonly MemberId[]): bigint {
  const sorted = [...memberIds].sort(compareUint64);
  const bytes = new Uint8Array(8 * sorted.length);
  const view = new DataView(bytes.buffer);
  for (const [i, id] of sorted.entries()) view.setBigUint64(8 * i, id);
  return firstEightBytes(bytes);
}

const HEX_ID = /^[\da-fA-F]{1,16}$/;

/** Reads the hexadecimal form. MALFORMED, naming `what`, if it is no 64-bit number. */
export function parseId(text: string, what: string): MemberId {
  if (!HEX_ID.test(text)) {
    throw new TetcdError(ERROR_CODES.MALFORMED, `${what}: ${JSON.stringify(text)} is no member id`);
  }
  return BigInt(`0x${text}`);
}

/** The URLs in the order of their bytes, which is etcd's; a fresh array. */
export function sortedUrls(urls: readonly string[]): string[] {
  return [...urls].sort((a, b) => compareBytes(bytesFromUtf8(a), bytesFromUtf8(b)));
}

function firstEightBytes(message: Uint8Array): bigint {
  return new DataView(sha1(message).buffer).getBigUint64(0);
}
