// The command line of `tetcd`: what only prints is done here, without loading a member.

import { type ConfigFromFile, parseConfig, parseConfigFile } from '../../server/index.ts';
import { ABOUT } from './about.ts';
import type { ReceiveStopSignals } from './early-signals.ts';

export async function main(receiveStopSignals: ReceiveStopSignals): Promise<void> {
  const parsed = await parsedSettings();
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    process.stderr.write(parsed.stderr);
    process.exitCode = parsed.exitCode;
    return;
  }
  const { logRefusal, runMember } = await import('./run-member.ts');
  if (parsed.kind === 'run') await runMember(parsed, receiveStopSignals);
  else await logRefusal(parsed);
}

async function parsedSettings(): Promise<ConfigFromFile> {
  const parsed = parseConfig(process.argv.slice(2), process.env, ABOUT);
  if (parsed.kind !== 'file') return parsed;
  const { readConfigFile } = await import('./config-file.ts');
  return parseConfigFile(parsed.path, await readConfigFile(parsed.path));
}
