// V8's inspector, asked from inside this process: no port is opened.

import { Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';
import type { Frame } from './profile-builder.ts';

/** A function as V8 names it; lines count from 0. */
export interface CallFrame {
  readonly functionName: string;
  /** Path or URL of its file; empty for what is not JavaScript. */
  readonly url: string;
  readonly lineNumber: number;
}

export class Inspector {
  readonly #session = new Session();

  constructor() {
    this.#session.connect();
  }

  /** Rejects with V8's refusal. */
  post<Result>(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#session.post(method, params, (error, result) => {
        if (error === null) resolve(result as Result);
        else reject(new Error(`${method}: ${error.message}`));
      });
    });
  }

  /** Ends what it has begun. */
  close(): void {
    this.#session.disconnect();
  }
}

/** The frame at a line, counted from 1; without one, where the function begins. */
export function frameOf({ functionName, url, lineNumber }: CallFrame, line?: number): Frame {
  const plainName = functionName === '' ? '(anonymous)' : functionName;
  const startLine = Math.max(0, lineNumber + 1);
  const file = url.startsWith('file:') ? fileURLToPath(url) : url;
  const name = file === '' ? plainName : `${plainName} (${shortName(file)}:${startLine})`;
  return { name, plainName, file, startLine, line: line ?? startLine };
}

/** Modules of Node.js, `node:internal/streams/writable` say, keep their whole name. */
function shortName(file: string): string {
  return file.startsWith('node:') ? file : file.slice(file.lastIndexOf('/') + 1);
}
