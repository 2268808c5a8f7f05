// The log: constant texts plus fields, one line each, in the form of etcd's own log, so that what
// reads etcd's logs reads ours. Lines are made by pino; what differs from its habits is here.
//
//   json     {"level":"info","ts":"2026-01-02T15:04:05.999999Z","caller":"server/boot.ts",
//            "msg":"...","key":"value"}
//   console  2026-01-02T15:04:05.999999Z<TAB>info<TAB>server/boot.ts<TAB>...<TAB>{"key": "value"}
//
// Levels: `debug` what a developer follows step by step; `info` what happens seconds apart at
// most; `warn` worth a look though the server copes; `error` something failed for somebody;
// `fatal` the member stops.

import pino from 'pino';
import type { LogConfig, LogLevel } from './config/index.ts';
import { consoleLine, timestamp } from './log-format.ts';

/** Bytes of lines that a failing output may hold back in memory; later lines are then dropped. */
export const LOG_BACKLOG_BYTES_MAX = 1_048_576;

/** A number above 2^53 is given as bigint, an id in the form in which it is printed. */
export type LogValue =
  | string
  | number
  | boolean
  | bigint
  | readonly (string | number | bigint)[]
  | Error
  | undefined;

/** In the order of printing; undefined ones are left out, of errors the message is shown. */
export type LogFields = Readonly<Record<string, LogValue>>;

export interface Logger {
  /** Ask before building fields that cost something. */
  readonly debugEnabled: boolean;
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** Written out before it returns. Stopping the member is left to the caller. */
  fatal(msg: string, fields?: LogFields): void;
  /** A logger whose lines name `caller`, a constant such as `server/boot.ts`. */
  child(caller: string): Logger;
  /** A logger whose lines begin with these fields. */
  with(fields: LogFields): Logger;
}

/** Where lines go; each call gets whole lines. */
export interface LogSink {
  write(line: string): void;
}

export interface WallClock {
  /** Milliseconds, with fraction if it is known, since the Unix epoch. */
  wallMs(): number;
}

/** zap's levels on pino's scale. */
const LEVEL_NUMBERS: Readonly<Record<LogLevel, number>> = {
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  panic: 55,
  fatal: 60,
};

const NO_FIELDS: LogFields = {};

type PinoLogger = pino.Logger<LogLevel, boolean>;

class PinoBackedLogger implements Logger {
  readonly #root: PinoLogger;
  readonly #named: PinoLogger;
  readonly #context: LogFields;

  /** `root` has no caller yet; lines are written through a child of it that has. */
  constructor(root: PinoLogger, caller: string, context: LogFields) {
    this.#root = root;
    this.#named = root.child({ caller });
    this.#context = context;
  }

  get debugEnabled(): boolean {
    return this.#root.isLevelEnabled('debug');
  }

  debug(msg: string, fields: LogFields = NO_FIELDS): void {
    if (this.debugEnabled) this.#write('debug', msg, fields);
  }

  info(msg: string, fields: LogFields = NO_FIELDS): void {
    this.#write('info', msg, fields);
  }

  warn(msg: string, fields: LogFields = NO_FIELDS): void {
    this.#write('warn', msg, fields);
  }

  error(msg: string, fields: LogFields = NO_FIELDS): void {
    this.#write('error', msg, fields);
  }

  fatal(msg: string, fields: LogFields = NO_FIELDS): void {
    this.#write('fatal', msg, fields);
  }

  child(caller: string): Logger {
    return new PinoBackedLogger(this.#root, caller, this.#context);
  }

  with(fields: LogFields): Logger {
    const { caller } = this.#named.bindings() as { readonly caller: string };
    return new PinoBackedLogger(this.#root, caller, { ...this.#context, ...fields });
  }

  // The message is the first property, not pino's message: pino would put it last.
  #write(level: LogLevel, msg: string, fields: LogFields): void {
    const line: Record<string, LogValue> = { msg };
    for (const source of [this.#context, fields]) {
      for (const [key, value] of Object.entries(source)) {
        line[key] = value instanceof Error ? value.message : value;
      }
    }
    this.#named[level](line);
  }
}

/** A logger that writes to `sink`. `caller` names the lines of the logger itself. */
export function createLogger(
  config: Pick<LogConfig, 'level' | 'format'>,
  sink: LogSink,
  clock: WallClock,
  caller: string,
): Logger {
  const destination = config.format === 'console' ? consoleSink(sink) : sink;
  const options: pino.LoggerOptions<LogLevel, boolean> = {
    level: config.level,
    customLevels: LEVEL_NUMBERS,
    useOnlyCustomLevels: true,
    base: null,
    messageKey: 'msg',
    timestamp: () => `,"ts":"${timestamp(clock.wallMs())}"`,
    formatters: { level: (label) => ({ level: label }) },
  };
  return new PinoBackedLogger(pino(options, destination), caller, NO_FIELDS);
}

function consoleSink(sink: LogSink): LogSink {
  return { write: (line) => sink.write(consoleLine(line)) };
}

/**
 * Opens `stderr`, `stdout` or files, to be written in the turn that logs. Throws what the operating
 * system says if a file cannot be opened. An output that fails later loses lines, never the member.
 */
export function openOutputs(outputs: readonly string[]): LogSink {
  const sinks = [...new Set(outputs)].map(openOutput);
  const [only] = sinks;
  if (only !== undefined && sinks.length === 1) return only;
  return {
    write: (line) => {
      for (const sink of sinks) sink.write(line);
    },
  };
}

function openOutput(name: string): LogSink {
  const standard = name === 'stderr' ? 2 : 1;
  const dest = name === 'stderr' || name === 'stdout' ? standard : name;
  const output = pino.destination({ dest, sync: true, maxLength: LOG_BACKLOG_BYTES_MAX });
  output.on('error', () => {});
  return output;
}

/** An error for a log field, whatever was thrown. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
