// The value of a bucket element: where the bucket's tree is, or the whole bucket inline.

import { invariant } from '../../base/index.ts';
import {
  BUCKET_HEADER_SIZE,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  readBigU64,
  readU16,
  readU64,
  writeBigU64,
  writeU64,
} from '../file/layout.ts';
import { Page, validatePage } from '../file/page.ts';
import type { Pager } from '../file/pager.ts';

export interface BucketValue {
  /** Root page of the tree; 0 if the bucket is inline. */
  readonly rootId: number;
  readonly sequence: bigint;
  /** The only leaf of an inline bucket. */
  readonly inline: Page | undefined;
}

/** Decodes `bytes[offset, offset + length)`, found on page `pageId`. CORRUPT if it is unsound. */
export function decodeBucketValue(
  pager: Pager,
  pageId: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
): BucketValue {
  invariant(length >= BUCKET_HEADER_SIZE, 'the value of a bucket has its header');
  const rootId = readU64(bytes, offset);
  const sequence = readBigU64(bytes, offset + 8);
  if (rootId !== 0) {
    if (rootId < 2 || rootId >= pager.highWater) {
      throw pager.corrupt(pageId, `a bucket has its root on page ${rootId}`);
    }
    return { rootId, sequence, inline: undefined };
  }
  const image = bytes.slice(offset + BUCKET_HEADER_SIZE, offset + length);
  const wrong = validateInline(image, pager.highWater);
  if (wrong !== undefined) throw pager.corrupt(pageId, `inline bucket: ${wrong}`);
  return { rootId: 0, sequence, inline: new Page(0, image) };
}

/** What is wrong with the page image of an inline bucket; undefined if nothing. */
export function validateInline(image: Uint8Array, idEnd: number): string | undefined {
  if (image.length < PAGE_HEADER_SIZE) return 'no page follows its header';
  if (readU16(image, 8) !== PAGE_FLAGS.LEAF) return 'its page is no leaf';
  return validatePage(image, idEnd);
}

/** The value of a bucket with a tree of its own. */
export function encodeBucketHeader(rootId: number, sequence: bigint): Uint8Array {
  invariant(rootId >= 2, 'a bucket that is not inline has a root page');
  const value = new Uint8Array(BUCKET_HEADER_SIZE);
  writeU64(value, 0, rootId);
  writeBigU64(value, 8, sequence);
  return value;
}
