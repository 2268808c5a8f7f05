// The real process; no other file of the tools uses it.

import { bytesFromUtf8, utf8FromBytes } from '../../base/index.ts';
import { createNodeClock, createNodeTimers } from '../../env/index.ts';
import { SilentExit } from './exit.ts';
import type { ExecResult, Io } from './io.ts';
import { type Word, wordFromBytes, wordFromText } from './words.ts';

const LINE_FEED = 0x0a;
/** What etcdctl exits with when it is interrupted while it asks for a password. */
const EXIT_INTERRUPTED_PROMPT = 255;
const COLUMNS_DEFAULT = 80;
/** Output is buffered up to this: a large range is many small pieces. */
const OUT_CHUNK_BYTES = 64 * 1024;

/** Time for the DNS to answer. */
const SERVICE_LOOKUP_TIMEOUT_MS = 20_000;

/** Standard input, line by line and then the rest. */
class StdinReader {
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #rest: Uint8Array = new Uint8Array(0);
  #ended = false;

  async #more(): Promise<boolean> {
    this.#chunks ??= process.stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    const next = await this.#chunks.next();
    if (next.done === true) {
      this.#ended = true;
      return false;
    }
    this.#rest = Buffer.concat([this.#rest, next.value]);
    return true;
  }

  async line(): Promise<Uint8Array | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(LINE_FEED);
      if (end >= 0) {
        const line = this.#rest.subarray(0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      if (this.#ended || !(await this.#more())) return undefined;
    }
  }

  async hidden(prompt: string): Promise<string> {
    const { stdin, stdout } = process;
    if (!stdin.isTTY) {
      stdout.write(prompt);
      return utf8FromBytes((await this.line()) ?? (await this.all()));
    }
    // Loaded by those who type a password.
    const { HiddenLine } = await import('./hidden-line.ts');
    const line = new HiddenLine();
    // First, as who sees the prompt begins to type.
    stdin.setRawMode(true);
    try {
      stdout.write(prompt);
      do {
        this.#rest = bytesFromUtf8(line.type(utf8FromBytes(this.#rest)));
      } while (line.ending === undefined && (await this.#more()));
    } finally {
      stdin.setRawMode(false);
    }
    if (line.ending === 'interrupted') throw new SilentExit(EXIT_INTERRUPTED_PROMPT);
    return line.text;
  }

  async all(): Promise<Uint8Array> {
    const pieces = [this.#rest];
    this.#rest = new Uint8Array(0);
    while (!this.#ended && (await this.#more())) {
      pieces.push(this.#rest);
      this.#rest = new Uint8Array(0);
    }
    return Buffer.concat(pieces);
  }
}

interface NodeIo extends Io {
  /** Resolves when everything is written. */
  flush(): Promise<void>;
}

export function createNodeIo(): NodeIo {
  const clock = createNodeClock();
  const timers = createNodeTimers();
  const stdin = new StdinReader();
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const writePending = (): void => {
    if (pendingBytes === 0) return;
    const data = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    process.stdout.write(data);
  };
  return {
    env: process.env,
    out(data) {
      const bytes = typeof data === 'string' ? Buffer.from(data) : data;
      // Flushed at the end of the turn, so that a watch prints its events immediately.
      if (pendingBytes === 0) timers.atEndOfTurn(writePending);
      pending.push(bytes);
      pendingBytes += bytes.length;
      if (pendingBytes >= OUT_CHUNK_BYTES) writePending();
    },
    err(text) {
      writePending();
      process.stderr.write(text);
    },
    readAll: () => stdin.all(),
    readLine: () => stdin.line(),
    askHidden: (prompt) => {
      writePending();
      return stdin.hidden(prompt);
    },
    readFile: async (path) => (await import('./read-file.ts')).readFile(path),
    disk: async () => (await import('../../env/index.ts')).createNodeDisk(),
    get terminalColumns() {
      // A terminal of no known width tells 0.
      return process.stderr.isTTY ? process.stderr.columns || COLUMNS_DEFAULT : undefined;
    },
    resolveService: async (name) =>
      (await import('../../net/index.ts')).resolveService(name, SERVICE_LOOKUP_TIMEOUT_MS),
    wallMs: () => clock.wallMs(),
    monotonicNs: () => Math.round(clock.monotonicMs() * 1e6),
    sleep: (ms) =>
      new Promise((resolve) => {
        timers.after(ms, resolve);
      }),
    every(ms, tick) {
      let timer = timers.after(ms, function again() {
        timer = timers.after(ms, again);
        tick();
      });
      return () => timer.cancel();
    },
    stopSignal,
    exec: (command, env) => {
      writePending();
      return exec(command, env);
    },
    async flush() {
      writePending();
      await Promise.all([process.stdout, process.stderr].map(drained));
    },
  };
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const names = ['SIGINT', 'SIGTERM'] as const;
  const listener = (): void => {
    for (const name of names) process.removeListener(name, listener);
    stop.abort(new Error('context canceled'));
  };
  for (const name of names) process.on(name, listener);
  return stop.signal;
}

/** Node's replacement for bytes of an argument that are not UTF-8. */
const REPLACEMENT = '\ufffd';
/** More than Linux passes to a program. */
const ARGUMENT_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The program's arguments as bytes. Node has them as text only; if that has lost bytes, they are read from
 * `/proc` on Linux.
 */
export async function argumentWords(argv: readonly string[]): Promise<Word[]> {
  const words = argv.map(wordFromText);
  if (process.platform !== 'linux' || !argv.some((text) => text.includes(REPLACEMENT)))
    return words;
  const { createNodeDisk, OPEN_MODES } = await import('../../env/index.ts');
  const file = await createNodeDisk().open('/proc/self/cmdline', OPEN_MODES.READ);
  try {
    const bytes = new Uint8Array(ARGUMENT_BYTES_MAX);
    const length = await file.read(bytes, 0);
    const all = wordFromBytes(bytes.subarray(0, length)).split('\0').slice(0, -1);
    return all.length < words.length ? words : all.slice(all.length - words.length);
  } finally {
    await file.close();
  }
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}

async function exec(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<ExecResult> {
  // Loaded only by commands that run a program.
  const { spawn } = await import('node:child_process');
  return new Promise((resolve) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('close', (code, signal) => resolve({ code, signal, error: undefined }));
  });
}
