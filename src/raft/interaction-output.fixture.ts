import { LOG_LEVELS, type LogLevel, type RaftLogger } from './logger.ts';

const LEVEL_NAMES = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'];

/** What a case prints: log lines of the nodes, and the descriptions that the commands add. */
export class Output implements RaftLogger {
  #text = '';
  /** Index into LEVEL_NAMES; at NONE nothing is printed at all. */
  level: number = LOG_LEVELS.DEBUG;

  get text(): string {
    return this.#text;
  }

  get quiet(): boolean {
    return this.level === LEVEL_NAMES.length - 1;
  }

  clear(): void {
    this.#text = '';
  }

  write(text: string): void {
    if (!this.quiet) this.#text += text;
  }

  /** What `work` writes, each line moved two places to the right. */
  indented(work: () => void): void {
    const before = this.#text;
    this.#text = '';
    try {
      work();
    } finally {
      const lines = this.#text.split('\n');
      if (lines.at(-1) === '') lines.pop();
      this.#text = before + lines.map((line) => `  ${line}\n`).join('');
    }
  }

  enabled(level: LogLevel): boolean {
    return this.level <= level;
  }

  log(level: LogLevel, text: string): void {
    if (this.enabled(level)) this.write(`${LEVEL_NAMES[level]} ${text}\n`);
  }

  setLevel(name: string): void {
    const level = LEVEL_NAMES.indexOf(name.toUpperCase());
    if (level < 0) throw new Error(`log levels must be either of [${LEVEL_NAMES.join(' ')}]`);
    this.level = level;
  }
}
