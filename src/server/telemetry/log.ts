// The log: constant texts plus fields, one line each, in the form of etcd's log, so that programs that
// read etcd's logs read ours. Lines are made by pino; the differences from its defaults are here.
//
//   json     {"level":"info","ts":"2026-01-02T15:04:05.999999Z","caller":"server/boot/boot.ts",
//            "msg":"...","key":"value"}
//   console  2026-01-02T15:04:05.999999Z<TAB>info<TAB>server/boot/boot.ts<TAB>...<TAB>{"key": "value"}
//
// Levels: `debug` single steps, for developers; `info` rare events, seconds apart; `warn` an unusual event
// that the server handles; `error` a failed operation of a caller; `fatal` the member stops.

import pino from 'pino';
import type { Clock } from '../../env/index.ts';
import type { LogConfig, LogLevel } from '../config/index.ts';
import { LOG_TEXT_CHARS_MAX } from '../limits.ts';
import { consoleLine, timestamp } from './log-format.ts';
import { LogLimiter } from './log-limiter.ts';

/** A number above 2^53 is given as bigint, an id in the form in which it is printed. */
type LogValue =
  | string
  | number
  | boolean
  | bigint
  | readonly (string | number | bigint)[]
  | Error
  | undefined;

/** In the order of printing; undefined values are omitted, errors are shown by their message. */
export type LogFields = Readonly<Record<string, LogValue>>;

export interface Logger {
  /** Ask before building fields that cost something. */
  readonly debugEnabled: boolean;
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** Written before it returns, if the output accepts it. The caller stops the member. */
  fatal(msg: string, fields?: LogFields): void;
  /** A logger whose lines name `caller`, a constant such as `server/boot/boot.ts`. */
  child(caller: string): Logger;
  /** A logger whose lines begin with these fields. */
  with(fields: LogFields): Logger;
  /** Counters of missing lines: lost by outputs, or suppressed by the rate limit. */
  readonly missing: { readonly lost: number; readonly suppressed: number };
  /** Flushes pending lines within a bounded time, before the process is ended by a signal. */
  end(): void;
}

/** Output of lines; each call gets one complete line. */
interface LogSink {
  /** `urgent`: the line may be the last one. */
  write(line: string, urgent: boolean): void;
  readonly lostCount?: number;
  end?(): void;
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

/** Shared by a logger and its children. */
interface Root {
  /** Has no caller yet; lines are written through a child of it that has. */
  readonly pino: pino.Logger<LogLevel, boolean>;
  readonly limiter: LogLimiter;
  readonly sink: LogSink;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

class PinoBackedLogger implements Logger {
  readonly #root: Root;
  readonly #named: Root['pino'];
  readonly #context: LogFields;

  constructor(root: Root, caller: string, context: LogFields) {
    this.#root = root;
    this.#named = root.pino.child({ caller });
    this.#context = context;
  }

  get debugEnabled(): boolean {
    return this.#named.isLevelEnabled('debug');
  }

  get missing(): Logger['missing'] {
    const { limiter, sink } = this.#root;
    return { lost: sink.lostCount ?? 0, suppressed: limiter.suppressedCount };
  }

  end(): void {
    this.#root.sink.end?.();
  }

  debug(msg: string, fields: LogFields = NO_FIELDS): void {
    if (this.debugEnabled) this.#write('debug', msg, fields);
  }

  info(msg: string, fields: LogFields = NO_FIELDS): void {
    this.#writeLimited('info', msg, fields);
  }

  warn(msg: string, fields: LogFields = NO_FIELDS): void {
    this.#writeLimited('warn', msg, fields);
  }

  error(msg: string, fields: LogFields = NO_FIELDS): void {
    this.#writeLimited('error', msg, fields);
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

  #writeLimited(level: LogLevel, msg: string, fields: LogFields): void {
    if (!this.#named.isLevelEnabled(level)) return;
    const suppressed = this.#root.limiter.admit(msg, this.#root.clock.monotonicMs());
    if (suppressed === undefined) return;
    this.#write(level, msg, suppressed === 0 ? fields : { ...fields, suppressed });
  }

  // The message is the first property, not pino's message: pino would put it last.
  #write(level: LogLevel, msg: string, fields: LogFields): void {
    const line: Record<string, LogValue> = { msg };
    for (const source of [this.#context, fields]) {
      for (const [key, value] of Object.entries(source)) {
        line[key] = shortened(value instanceof Error ? value.message : value);
      }
    }
    this.#named[level](line);
  }
}

function shortened(value: LogValue): LogValue {
  if (typeof value !== 'string' || value.length <= LOG_TEXT_CHARS_MAX) return value;
  return `${value.slice(0, LOG_TEXT_CHARS_MAX)}... (${value.length} characters)`;
}

/** A logger that writes to `sink`. `caller` names the lines of the logger itself. */
export function createLogger(
  config: Pick<LogConfig, 'level' | 'format'>,
  sink: LogSink,
  clock: Clock,
  caller: string,
): Logger {
  const options: pino.LoggerOptions<LogLevel, boolean> = {
    level: config.level,
    customLevels: LEVEL_NUMBERS,
    useOnlyCustomLevels: true,
    base: null,
    messageKey: 'msg',
    timestamp: () => `,"ts":"${timestamp(clock.wallMs())}"`,
    formatters: { level: (label) => ({ level: label }) },
  };
  const root = {
    pino: pino(options, destinationOf(sink, config.format)),
    limiter: new LogLimiter(),
    sink,
    clock,
  };
  return new PinoBackedLogger(root, caller, NO_FIELDS);
}

/** Pino sets `lastLevel` before a write on a stream that has this symbol. */
function destinationOf(sink: LogSink, format: LogConfig['format']): pino.DestinationStream {
  const destination = {
    [pino.symbols.needsMetadataGsym]: true,
    lastLevel: 0,
    write: (line: string): void => {
      const urgent = destination.lastLevel >= LEVEL_NUMBERS.panic;
      sink.write(format === 'console' ? consoleLine(line) : line, urgent);
    },
  };
  return destination;
}

/** Any thrown value as an error for a log field. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
