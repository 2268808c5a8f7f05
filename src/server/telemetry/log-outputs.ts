// Where log lines go: the standard outputs, files, one that rotates, or systemd's journal.

import { basename } from 'node:path';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import {
  type Clock,
  FileThread,
  LineOutputs,
  type LineTarget,
  mayRotate,
  openDatagramTarget,
} from '../../env/index.ts';
import { JOURNAL_OUTPUT, type LogConfig } from '../config/index.ts';
import { journalEntry } from './journal-entry.ts';
import { asError, createLogger, type LogFields } from './log.ts';

const CALLER = 'server/telemetry/log-outputs.ts';
const STANDARD: ReadonlySet<string> = new Set(['stderr', 'stdout']);
const JOURNAL_SOCKET = '/run/systemd/journal/socket';

/**
 * Opens the outputs of the settings. Rejects with the system's error for a file that cannot be opened, and
 * with INVALID_ARGUMENT if there is no journal. An output that fails or is not read later loses lines, which
 * a later line reports; the member is not affected.
 */
export async function openOutputs(
  config: Pick<LogConfig, 'format' | 'outputs'> & Partial<Pick<LogConfig, 'rotation'>>,
  clock: Clock,
): Promise<LineOutputs> {
  const { format, rotation } = config;
  const lineOf = (msg: string, fields: LogFields): string => {
    const lines: string[] = [];
    const sink = { write: (line: string) => void lines.push(line) };
    createLogger({ level: 'warn', format }, sink, clock, CALLER).warn(msg, fields);
    return lines.join('');
  };
  const onTrouble = (what: string, error: unknown): void => {
    outputs.write(lineOf(what, { error: asError(error) }), false);
  };
  const targets: (string | LineTarget)[] = [];
  for (const name of config.outputs) {
    if (name === JOURNAL_OUTPUT) targets.push(await openJournal());
    else if (rotation === undefined || STANDARD.has(name) || !mayRotate(name)) targets.push(name);
    else targets.push(new FileThread({ path: name, rotation }, { onTrouble, clock }));
  }
  const lossLine = (count: number): string =>
    lineOf('dropped log lines that the output did not take', { count });
  const outputs = new LineOutputs(targets, lossLine, onTrouble);
  return outputs;
}

async function openJournal(): Promise<LineTarget> {
  const identifier = basename(process.argv[1] ?? process.argv0, '.js');
  try {
    return await openDatagramTarget(JOURNAL_SOCKET, (line) => journalEntry(line, identifier));
  } catch (error) {
    const text = `can't find journal (${asError(error).message})`;
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text, { cause: error });
  }
}
