// The two meta pages. The one with the larger transaction id among the valid ones is the state of
// the database; a commit writes the other one (page txid % 2), so that a torn write of a meta page
// leaves its predecessor, and every page reachable from that, as they were.

import { COUNT_MAX, invariant, verify } from '../../base/index.ts';
import { PAGE_SIZE_MAX, PAGE_SIZE_MIN } from '../limits.ts';
import {
  INITIAL_PAGE_COUNT,
  META_SIZE,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  readBigU64,
  readU32,
  readU64,
  writeBigU64,
  writePageHeader,
  writeU32,
  writeU64,
} from './layout.ts';

const META_MAGIC = 0xed0cdaed;
const META_VERSION = 2;
const CHECKSUM_AT = 56;
const ALL_ONES = 0xffff_ffff;

export interface Meta {
  readonly pageSize: number;
  readonly flags: number;
  /** Page of the root bucket's tree; 2 <= rootPage < highWater. */
  readonly rootPage: number;
  readonly rootSequence: bigint;
  /** Page of the free list, or undefined where free pages are found by a scan. */
  readonly freelistPage: number | undefined;
  /** First page id never used. */
  readonly highWater: number;
  readonly txid: number;
}

export function isPageSize(size: number): boolean {
  return size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) === 0;
}

/** FNV-1a, 64 bits. */
export function fnv1a64(bytes: Uint8Array, start: number, end: number): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let i = start; i < end; i++) {
    hash = ((hash ^ BigInt(bytes[i]!)) * 0x100000001b3n) & 0xffff_ffff_ffff_ffffn;
  }
  return hash;
}

/** The meta in `bytes` (a page, or at least its first 80 bytes), or what is wrong with it. */
export function decodeMeta(bytes: Uint8Array): Meta | string {
  const at = PAGE_HEADER_SIZE;
  if (bytes.length < at + META_SIZE) return 'too short for a meta page';
  if (readU32(bytes, at) !== META_MAGIC) return 'no bbolt magic number';
  const version = readU32(bytes, at + 4);
  if (version !== META_VERSION) return `version ${version}, expected ${META_VERSION}`;
  const checksum = readBigU64(bytes, at + CHECKSUM_AT);
  if (checksum !== fnv1a64(bytes, at, at + CHECKSUM_AT)) return 'checksum mismatch';

  const meta: Meta = {
    pageSize: readU32(bytes, at + 8),
    flags: readU32(bytes, at + 12),
    rootPage: readU64(bytes, at + 16),
    rootSequence: readBigU64(bytes, at + 24),
    freelistPage: decodeFreelistPage(bytes, at + 32),
    highWater: readU64(bytes, at + 40),
    txid: readU64(bytes, at + 48),
  };
  if (!isPageSize(meta.pageSize)) return `page size ${meta.pageSize}`;
  if (meta.highWater < INITIAL_PAGE_COUNT - 1 || meta.highWater * meta.pageSize > COUNT_MAX) {
    return `high-water mark ${meta.highWater}`;
  }
  if (meta.rootPage < 2 || meta.rootPage >= meta.highWater) return `root page ${meta.rootPage}`;
  const { freelistPage } = meta;
  if (freelistPage !== undefined && (freelistPage < 2 || freelistPage >= meta.highWater)) {
    return `free list page ${freelistPage}`;
  }
  if (meta.txid >= COUNT_MAX) return `transaction id ${meta.txid}`;
  return meta;
}

function decodeFreelistPage(bytes: Uint8Array, at: number): number | undefined {
  if (readU32(bytes, at) === ALL_ONES && readU32(bytes, at + 4) === ALL_ONES) return undefined;
  return readU64(bytes, at);
}

/** Writes a whole meta page as page `id`, which is `txid % 2` except in copies. */
export function encodeMeta(meta: Meta, id: number, page: Uint8Array): void {
  invariant(page.length === meta.pageSize, 'a meta page fills a page');
  invariant(meta.rootPage >= 2 && meta.rootPage < meta.highWater, 'the root page is in use');
  invariant(isPageSize(meta.pageSize), 'a page size is a power of two within bounds');
  invariant(
    meta.freelistPage === undefined ||
      (meta.freelistPage >= 2 && meta.freelistPage < meta.highWater),
    'the free list is in the file',
  );
  invariant(meta.txid >= 0 && meta.txid < COUNT_MAX, 'transactions are counted exactly');
  const at = PAGE_HEADER_SIZE;
  page.fill(0);
  writePageHeader(page, id, PAGE_FLAGS.META, 0, 0);
  writeU32(page, at, META_MAGIC);
  writeU32(page, at + 4, META_VERSION);
  writeU32(page, at + 8, meta.pageSize);
  writeU32(page, at + 12, meta.flags);
  writeU64(page, at + 16, meta.rootPage);
  writeBigU64(page, at + 24, meta.rootSequence);
  if (meta.freelistPage === undefined) page.fill(0xff, at + 32, at + 40);
  else writeU64(page, at + 32, meta.freelistPage);
  writeU64(page, at + 40, meta.highWater);
  writeU64(page, at + 48, meta.txid);
  writeBigU64(page, at + CHECKSUM_AT, fnv1a64(page, at, at + CHECKSUM_AT));
  if (verify.all) invariant(typeof decodeMeta(page) !== 'string', 'a meta page can be read');
}
