// A snapshot that is being written: under the name `.part`, until it is known to be whole.

import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { type Disk, type DiskFile, OPEN_MODES } from '../../../env/index.ts';
import { openFailure, systemReason } from '../../shell/read-file.ts';

const SHA256_BYTES = 32;
/** A database is whole sectors; what is left over is its SHA-256. */
const SECTOR_BYTES = 512;

export class PartFile {
  readonly path: string;
  readonly #disk: Disk;
  readonly #target: string;
  readonly #hash = createHash('sha256');
  #file: DiskFile | undefined;
  /** The newest bytes, not hashed: they may be the SHA-256 of those before. */
  #tail = Buffer.alloc(0);
  #bytes = 0;

  private constructor(disk: Disk, target: string, file: DiskFile) {
    this.path = file.path;
    this.#disk = disk;
    this.#target = target;
    this.#file = file;
  }

  /** Opens `<target>.part`, which only its owner may read; what a file of this name held is lost. */
  static async open(disk: Disk, target: string): Promise<PartFile> {
    const path = `${target}.part`;
    try {
      const file = await disk.open(path, OPEN_MODES.OPEN_OR_CREATE);
      await file.truncate(0);
      return new PartFile(disk, target, file);
    } catch (error) {
      throw new Error(`could not open ${path} (${openFailure(path, error)})`, { cause: error });
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  async append(piece: Uint8Array): Promise<void> {
    const bytes = Buffer.concat([this.#tail, piece]);
    const hashed = Math.max(0, bytes.length - SHA256_BYTES);
    this.#hash.update(bytes.subarray(0, hashed));
    this.#tail = bytes.subarray(hashed);
    try {
      await this.#file!.write([piece], this.#bytes);
    } catch (error) {
      const reason = `write ${this.path}: ${systemReason(error)}`;
      throw new Error(`could not write snapshot: ${reason}`, { cause: error });
    }
    this.#bytes += piece.length;
  }

  /** Gives the file its name, durably. Rejects if it is not whole; then nothing has that name. */
  async commit(): Promise<void> {
    if (this.#bytes % SECTOR_BYTES !== SHA256_BYTES) {
      throw new Error(`sha256 checksum not found [bytes: ${this.#bytes}]`);
    }
    if (!this.#hash.digest().equals(this.#tail)) {
      throw new Error(`sha256 checksum does not match [bytes: ${this.#bytes}]`);
    }
    try {
      await this.#file!.sync();
    } catch (error) {
      const reason = `sync ${this.path}: ${systemReason(error)}`;
      throw new Error(`could not fsync snapshot: ${reason}`, { cause: error });
    }
    await this.#close();
    try {
      await this.#disk.rename(this.path, this.#target);
      await this.#disk.syncDirectory(dirname(this.#target));
    } catch (error) {
      const names = `${this.path} ${this.#target}`;
      const text = `could not rename ${this.path} to ${this.#target}`;
      // Go looks for a directory of that name before it renames.
      const reason = systemReason(error).replace(/^is a directory$/, 'file exists');
      throw new Error(`${text} (rename ${names}: ${reason})`, { cause: error });
    }
  }

  /** Removes the file, unless it has got its name. */
  async discard(): Promise<void> {
    await this.#close();
    await this.#disk.removeTree(this.path);
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}
