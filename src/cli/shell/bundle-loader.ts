// Loads files of the bundle together with the code that V8 has made of them before: compiling a member
// takes longer than all that it does until it serves.
//
// The build runs the commands and keeps V8's code, with the functions that were compiled on the way,
// beside each file: `<file>.cache`, a digest and then V8's data. V8 itself checks its version, its flags
// and the length of the source, and no more. The digest therefore covers the source, the code and the
// Node.js that made it. Where anything differs, the file is loaded as any other, with the compile cache
// of Node.js where there is one; where V8 refuses the code (other flags), it compiles the source.

import { createHash } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { useCompileCache } from './compile-cache.ts';

type Require = (id: string) => unknown;
/** A file as a function: what Node.js makes of a CommonJS module. */
type Body = (
  exports: object,
  require: Require,
  module: object,
  filename: string,
  dirname: string,
) => void;

/** On the first line of the file, whose columns are corrected. */
const HEAD = '(function (exports, require, module, __filename, __dirname) { ';
const TAIL = '\n})';
const DIGEST = 'sha256';
const DIGEST_SIZE = 32;

interface Loaded {
  readonly exports: object;
  /** What its code is kept with; undefined where none is to be, so that the memory is free. */
  readonly kept:
    | { readonly path: string; readonly source: Buffer; readonly script: Script }
    | undefined;
}

export class BundleLoader {
  readonly #directory: string;
  readonly #require: Require;
  readonly #keeps: boolean;
  readonly #loaded = new Map<string, Loaded>();

  /**
   * For files of `directory`, which are ASCII; `require` loads the rest. A loader that `keeps` code also
   * runs files that have none yet.
   */
  constructor(directory: string, require: Require, { keeps = false } = {}) {
    this.#directory = directory;
    this.#require = require;
    this.#keeps = keeps;
  }

  /** The exports of `./file.js`; of any other id, what `require` gives. */
  readonly load = (id: string): unknown => {
    if (!id.startsWith('./')) return this.#require(id);
    const known = this.#loaded.get(id);
    if (known !== undefined) return known.exports;
    const path = join(this.#directory, id);
    const source = readWrapped(path);
    const code = codeOf(path, source);
    if (code !== undefined || this.#keeps) return this.#run(id, path, source, code);
    useCompileCache();
    return this.#require(path);
  };

  #run(id: string, path: string, source: Buffer, code: Buffer | undefined): object {
    const script = new Script(source.toString('latin1'), {
      filename: path,
      columnOffset: -HEAD.length,
      ...(code === undefined ? {} : { cachedData: code }),
    });
    const module = { exports: {} };
    const kept = this.#keeps ? { path, source, script } : undefined;
    this.#loaded.set(id, { exports: module.exports, kept });
    const body = script.runInThisContext() as Body;
    body(module.exports, this.load, module, path, dirname(path));
    return module.exports;
  }

  /** Writes the code of every file that was loaded here, as V8 has it by now. */
  keepCode(): void {
    for (const { kept } of this.#loaded.values()) {
      if (kept === undefined) continue;
      const { path, source, script } = kept;
      const code = script.createCachedData();
      const temporary = `${path}.cache.tmp`;
      writeFileSync(temporary, Buffer.concat([digestOf(source, code), code]));
      renameSync(temporary, `${path}.cache`);
    }
  }
}

/** The file as the text of a function. Read into its place: a copy of a large one would cost time. */
function readWrapped(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const wrapped = Buffer.allocUnsafe(HEAD.length + size + TAIL.length);
    wrapped.write(HEAD, 'latin1');
    let end = HEAD.length;
    while (end < HEAD.length + size) {
      const count = readSync(file, wrapped, end, HEAD.length + size - end, null);
      if (count === 0) throw new Error(`${path} became shorter`);
      end += count;
    }
    wrapped.write(TAIL, end, 'latin1');
    return wrapped;
  } finally {
    closeSync(file);
  }
}

/** The code that was kept for this source by this Node.js; undefined if there is none. */
function codeOf(path: string, source: Buffer): Buffer | undefined {
  let kept: Buffer;
  try {
    kept = readFileSync(`${path}.cache`);
  } catch {
    return undefined;
  }
  const code = kept.subarray(DIGEST_SIZE);
  return digestOf(source, code).equals(kept.subarray(0, DIGEST_SIZE)) ? code : undefined;
}

function digestOf(source: Buffer, code: Buffer): Buffer {
  const { version, platform, arch, execPath } = process;
  // Two builds of one release may differ in what the code refers to.
  const maker = `${version} ${platform} ${arch} ${statSync(execPath).size}\n`;
  return createHash(DIGEST).update(maker).update(source).update(code).digest();
}
