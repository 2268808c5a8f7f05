// The command line of `tetcd`: what only prints is done here, without loading a member.

import { createRequire } from 'node:module';
import { parseConfig } from '../../server/index.ts';

function packageVersion(): string {
  const { version }: { version: string } = createRequire(import.meta.url)('tetcd/package.json');
  return version;
}

export async function main(): Promise<void> {
  const parsed = parseConfig(process.argv.slice(2), process.env, {
    packageVersion: packageVersion(),
    nodeVersion: process.version,
    platform: process.platform,
    arch: process.arch,
  });
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    process.stderr.write(parsed.stderr);
    process.exitCode = parsed.exitCode;
    return;
  }
  const { logRefusal, runMember } = await import('./run-member.ts');
  if (parsed.kind === 'run') await runMember(parsed);
  else logRefusal(parsed);
}
