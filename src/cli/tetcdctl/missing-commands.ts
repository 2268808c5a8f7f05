// Commands of etcdctl that are not implemented. They are refused by name, `--help` included, and prefixes
// of command names mean the same as in etcdctl.

import { Command } from 'commander';
import { EXIT, ExitError } from '../shell/exit.ts';

export const MISSING_COMMANDS = ['check', 'elect', 'lock', 'make-mirror'] as const;

class MissingCommand extends Command {}

export function addMissingCommands(root: Command): void {
  for (const name of MISSING_COMMANDS) root.addCommand(new MissingCommand(name));
}

export function isMissing(command: Command): boolean {
  return command instanceof MissingCommand;
}

export function refuseMissing(command: Command): void {
  if (!isMissing(command)) return;
  const text = `command "${command.name()}" is not implemented by this release`;
  throw new ExitError(EXIT.BAD_FEATURE, text);
}
