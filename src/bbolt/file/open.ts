// Opening: the lock, the meta pages, the free pages.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import { type DiskFile, OPEN_MODES, type OpenMode } from '../../env/index.ts';
import type { BucketVisitor, Database, DatabaseOptions } from '../api.ts';
import {
  PAGE_CACHE_BYTES_DEFAULT,
  PAGE_SIZE_DEFAULT,
  PAGE_SIZE_MAX,
  PAGE_SIZE_MIN,
} from '../limits.ts';
import { scanDatabase } from '../read/scan.ts';
import { type BboltEnv, FileDatabase } from './database.ts';
import { directoryOf } from './directory-of.ts';
import { Freelist } from './freelist.ts';
import {
  INITIAL_FREELIST_PAGE,
  INITIAL_PAGE_COUNT,
  INITIAL_ROOT_PAGE,
  META_SIZE,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  writePageHeader,
} from './layout.ts';
import { decodeMeta, encodeMeta, isPageSize, type Meta } from './meta.ts';
import { PageCache } from './page-cache.ts';
import { Pager } from './pager.ts';
import { LockedFile } from './spare-file.ts';

/**
 * Opens the database file, creating it if it is missing (unless `readOnly` or `mustExist`). LOCKED if
 * another process has it open for writing; CORRUPT, naming file and page, if it is none or is damaged;
 * NOT_FOUND if it is missing and not created; INVALID_ARGUMENT for a wrong option.
 */
export async function openDatabase(
  env: BboltEnv,
  path: string,
  options: DatabaseOptions = {},
): Promise<Database> {
  checkOptions(options);
  const readOnly = options.readOnly === true;
  const mustExist = options.mustExist === true;
  const spare = takeSpare(path, options);
  const file = spare ?? (await env.disk.open(path, modeOf(options), options.permissions ?? 0o600));
  try {
    if (!readOnly) {
      if (spare === undefined) await file.lock();
      if (!mustExist && isUnfinished(file, options)) await createDatabase(env, file, options);
    }
    return await openFile(env, file, options);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function modeOf({ readOnly, mustExist }: DatabaseOptions): OpenMode {
  if (readOnly === true) return OPEN_MODES.READ;
  return mustExist === true ? OPEN_MODES.WRITE : OPEN_MODES.OPEN_OR_CREATE;
}

function takeSpare(path: string, { spare, readOnly }: DatabaseOptions): DiskFile | undefined {
  if (spare === undefined) return undefined;
  invariant(spare instanceof LockedFile, 'there is one kind of spare file');
  invariant(spare.path === path && readOnly !== true, 'a spare file becomes a new database');
  return spare.take();
}

function checkOptions({ pageSize, pageCacheBytes }: DatabaseOptions): void {
  if (pageSize !== undefined && !isPageSize(pageSize)) {
    const range = `a power of two from ${PAGE_SIZE_MIN} to ${PAGE_SIZE_MAX}`;
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `page size ${pageSize}, expected ${range}`);
  }
  if (pageCacheBytes !== undefined && !(pageCacheBytes >= 0)) {
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `page cache of ${pageCacheBytes} bytes`);
  }
}

async function openFile(
  env: BboltEnv,
  file: DiskFile,
  options: DatabaseOptions,
): Promise<FileDatabase> {
  const meta = readMetas(file);
  const cache = new PageCache(options.pageCacheBytes ?? PAGE_CACHE_BYTES_DEFAULT, meta.pageSize);
  const pager = new Pager(file, meta.pageSize, meta.highWater, cache);
  const parts = {
    env,
    pager,
    meta,
    noSync: options.noSync === true,
    noFreelistSync: options.noFreelistSync !== false,
  };
  const reader = new FileDatabase({ ...parts, freelist: undefined });
  const visitors = visitorsOf(reader, options);
  const readOnly = options.readOnly === true;

  if (readOnly && visitors.length === 0) return reader;
  // A free list in the file is not trusted: with a wrong one, pages in use would be overwritten.
  const reached = await scanDatabase(pager, meta, visitors, reader.slices());
  if (readOnly) return reader;

  // The state just read may be in the operating system's cache only. Overwriting pages that the
  // older meta page needs is sound only once the newer one is on disk.
  if (!parts.noSync) await file.sync();
  const free = reached.complement(2, meta.highWater);
  invariant(free.count + reached.count === meta.highWater - 2, 'a page is reached or free');
  const freelist = new Freelist(free, meta.txid);
  const database = new FileDatabase({ ...parts, freelist });
  if (!parts.noFreelistSync && meta.freelistPage === undefined) {
    // From now on the file has a free list, for programs that do not scan for free pages.
    await (await database.writer()).commitWhole(true);
  }
  return database;
}

function visitorsOf(reader: FileDatabase, options: DatabaseOptions): readonly BucketVisitor[] {
  if (options.visit === undefined) return [];
  const snapshot = reader.beginRead();
  try {
    return options.visit(snapshot);
  } finally {
    snapshot.close();
  }
}

/**
 * Whether the file is new, or a crash interrupted its creation: then both meta pages are zeros, and
 * only what `createDatabase` writes before them can follow.
 */
function isUnfinished(file: DiskFile, options: DatabaseOptions): boolean {
  const pageSize = options.pageSize ?? PAGE_SIZE_DEFAULT;
  const size = file.size();
  if (size === 0) return true;
  if (size > INITIAL_PAGE_COUNT * pageSize) return false;
  const head = new Uint8Array(Math.min(size, 2 * pageSize));
  file.readSync(head, 0);
  return head.every((byte) => byte === 0);
}

async function createDatabase(
  env: BboltEnv,
  file: DiskFile,
  options: DatabaseOptions,
): Promise<void> {
  const pageSize = options.pageSize ?? PAGE_SIZE_DEFAULT;
  const pages = new Uint8Array(INITIAL_PAGE_COUNT * pageSize);
  const page = (id: number): Uint8Array => pages.subarray(id * pageSize, (id + 1) * pageSize);
  for (const id of [0, 1]) {
    const meta: Meta = {
      pageSize,
      flags: 0,
      rootPage: INITIAL_ROOT_PAGE,
      rootSequence: 0n,
      freelistPage: INITIAL_FREELIST_PAGE,
      highWater: INITIAL_PAGE_COUNT,
      txid: id,
    };
    invariant(meta.txid % 2 === id, 'the meta page of a transaction is that of its parity');
    encodeMeta(meta, id, page(id));
  }
  const freelist = page(INITIAL_FREELIST_PAGE);
  writePageHeader(freelist, INITIAL_FREELIST_PAGE, PAGE_FLAGS.FREELIST, 0, 0);
  writePageHeader(page(INITIAL_ROOT_PAGE), INITIAL_ROOT_PAGE, PAGE_FLAGS.LEAF, 0, 0);

  // What the meta pages refer to is on disk before they are: a crash leaves no valid meta, or a
  // sound empty database.
  await file.write([pages.subarray(2 * pageSize)], 2 * pageSize);
  if (options.noSync !== true) await file.sync();
  await file.write([pages.subarray(0, 2 * pageSize)], 0);
  if (options.noSync === true) return;
  await file.sync();
  await env.disk.syncDirectory(directoryOf(file.path));
}

/** The newest valid meta. CORRUPT if there is none, or if the file is shorter than it says. */
function readMetas(file: DiskFile): Meta {
  const first = readMeta(file, 0);
  let meta: Meta | undefined;
  if (typeof first === 'string') {
    meta = findSecondMeta(file);
    if (meta === undefined) {
      const text = `page 0 (offset 0): ${first}; nor is there a valid meta page 1`;
      throw new TetcdError(ERROR_CODES.CORRUPT, `${file.path}: ${text}`);
    }
  } else {
    const second = readMeta(file, first.pageSize);
    const isNewer =
      typeof second !== 'string' && second.pageSize === first.pageSize && second.txid > first.txid;
    meta = isNewer ? second : first;
  }
  invariant(
    meta.rootPage < meta.highWater,
    'a meta page that was accepted has its root in the file',
  );
  const size = file.size();
  if (meta.highWater * meta.pageSize > size) {
    const text = `${meta.highWater} pages of ${meta.pageSize} bytes are in use`;
    throw new TetcdError(
      ERROR_CODES.CORRUPT,
      `${file.path}: the file ends at ${size}, but ${text}`,
    );
  }
  return meta;
}

/** Without meta page 0 the page size is unknown: each possible one is tried. */
function findSecondMeta(file: DiskFile): Meta | undefined {
  for (let pageSize = PAGE_SIZE_MIN; pageSize <= PAGE_SIZE_MAX; pageSize *= 2) {
    const meta = readMeta(file, pageSize);
    if (typeof meta !== 'string' && meta.pageSize === pageSize) return meta;
  }
  return undefined;
}

function readMeta(file: DiskFile, at: number): Meta | string {
  const bytes = new Uint8Array(PAGE_HEADER_SIZE + META_SIZE);
  const length = file.readSync(bytes, at);
  return decodeMeta(bytes.subarray(0, length));
}
