// A process in memory, to run commands in a test.

import { createMemoryDisk, type Disk, type ServiceHost } from '../../env/index.ts';
import type { ExecResult, Io } from './io.ts';

export class MemoryIo implements Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: string[] = [];
  readonly slept: number[] = [];
  /** Called by the test. */
  readonly ticks = new Set<() => void>();
  /** Undefined: standard error is no terminal. */
  terminalColumns: number | undefined = undefined;
  /** What `monotonicNs` returns; undefined: the real time. */
  nowNs: number | undefined = undefined;
  readonly files = new Map<string, Uint8Array>();
  /** What the DNS knows. */
  readonly services = new Map<string, readonly ServiceHost[]>();
  readonly executed: Array<{ readonly command: readonly string[]; readonly env: object }> = [];
  /** What `exec` answers. */
  execResult: ExecResult = { code: 0, signal: null, error: undefined };
  /** Called after each piece of output. */
  onOut: (() => void) | undefined = undefined;
  readonly #out: Uint8Array[] = [];
  #input: Uint8Array;
  /** Standard input is open: more may come. */
  #open: boolean;
  #wake: (() => void) | undefined = undefined;

  constructor(
    init: {
      readonly env?: Readonly<Record<string, string>>;
      readonly input?: string | Uint8Array;
      readonly keepOpen?: boolean;
    } = {},
  ) {
    this.env = init.env ?? {};
    this.#input = Buffer.from(init.input ?? '');
    this.#open = init.keepOpen ?? false;
  }

  type(text: string): void {
    this.#input = Buffer.concat([this.#input, Buffer.from(text)]);
    this.#wake?.();
  }

  endInput(): void {
    this.#open = false;
    this.#wake?.();
  }

  get outBytes(): Buffer {
    return Buffer.concat(this.#out);
  }

  get outText(): string {
    return this.outBytes.toString();
  }

  get errText(): string {
    return this.stderr.join('');
  }

  out(data: string | Uint8Array): void {
    this.#out.push(Buffer.from(data));
    this.onOut?.();
  }

  err(text: string): void {
    this.stderr.push(text);
    this.onOut?.();
  }

  async resolveService(name: string): Promise<readonly ServiceHost[]> {
    const hosts = this.services.get(name);
    if (hosts === undefined) throw new Error(`lookup ${name}: no such host`);
    return hosts;
  }

  async readAll(): Promise<Uint8Array> {
    const all = this.#input;
    this.#input = new Uint8Array(0);
    return all;
  }

  async readLine(): Promise<Uint8Array | undefined> {
    for (;;) {
      const end = this.#input.indexOf(0x0a);
      if (end >= 0) {
        const line = this.#input.subarray(0, end);
        this.#input = this.#input.subarray(end + 1);
        return line;
      }
      if (!this.#open) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async askHidden(prompt: string): Promise<string> {
    this.out(prompt);
    return Buffer.from((await this.readLine()) ?? (await this.readAll())).toString();
  }

  async readFile(path: string): Promise<Uint8Array> {
    const cause = { code: 'ENOENT' };
    return this.files.get(path) ?? Promise.reject(new Error(`no ${path}`, { cause }));
  }

  wallMs(): number {
    return 0;
  }

  monotonicNs(): number {
    return this.nowNs ?? performance.now() * 1e6;
  }

  readonly #disk = createMemoryDisk();

  async disk(): Promise<Disk> {
    return this.#disk;
  }

  every(_ms: number, tick: () => void): () => void {
    this.ticks.add(tick);
    return () => this.ticks.delete(tick);
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
  }

  readonly stop = new AbortController();

  stopSignal(): AbortSignal {
    return this.stop.signal;
  }

  async exec(command: readonly string[], env: object): Promise<ExecResult> {
    this.executed.push({ command, env });
    return this.execResult;
  }
}
