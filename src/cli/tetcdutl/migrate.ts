// `tetcdutl migrate`: the database of a stopped member in the form of another release.

import type { Command } from 'commander';
import {
  type ClusterVersion,
  formatStoredVersion,
  versionAtLeast,
} from '../../membership/index.ts';
import { migrateDirectory } from '../../offline/index.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import { boolFlag, stringFlag } from '../shell/flags.ts';
import { parseGoInt } from '../shell/go-numbers.ts';
import type { CommandTree } from './command.ts';

interface MigrateFlags {
  readonly dataDir: string;
  readonly targetVersion: string;
  readonly force: boolean;
}

export function addMigrate(parent: Command, tree: CommandTree): void {
  tree.add<MigrateFlags>(parent, {
    name: 'migrate',
    usage: '[options]',
    summary: 'bring the database of a stopped member to the form of another release',
    flags: [
      stringFlag({ flag: '--data-dir', help: 'the data directory, which no member uses' }),
      stringFlag({
        flag: '--target-version',
        help: 'the release to come, as X.Y (3.6, say); 3.5 is the oldest',
      }),
      boolFlag({
        flag: '--force',
        help: 'name that release in the database even if it cannot be brought there; not advised',
      }),
    ],
    requiredFlags: ['data-dir', 'target-version'],
    run: async ({ options: { dataDir, targetVersion, force }, env, lock, report }) => {
      const target = parseTarget(targetVersion);
      const name = formatStoredVersion(target);
      const done = await migrateDirectory(env, dataDir, { ...lock, target, force });
      if (done.kind === 'upToDate')
        report('storage version up-to-date', { 'storage-version': name });
      else if (done.kind === 'forced') {
        report('normal migrate failed, trying with force', { error: done.reason });
        report('forcefully set storage version', { 'storage-version': name });
      } else {
        for (const step of done.steps) {
          report('updated storage version', { 'new-storage-version': formatStoredVersion(step) });
        }
      }
    },
  });
}

/** ExitError, in etcdutl's words, for a text that is no version from 3.5 on. */
function parseTarget(text: string): ClusterVersion {
  if (text.split('.').length !== 2) {
    refuse(`wrong target version format, expected "X.Y", got ${JSON.stringify(text)}`);
  }
  const number = `${text}.0`.replace(/\+.*/s, '').replace(/-.*/s, '');
  const parts = number.split('.');
  if (parts.length < 3)
    refuse(`failed to parse target version: ${number} is not in dotted-tri format`);
  const [major, minor] = parts.map((part) => {
    const parsed = parseGoInt(part, 10);
    if (parsed.reason !== undefined) refuse(`failed to parse target version: ${parsed.reason}`);
    return Number(parsed.value);
  });
  const version = { major: major!, minor: minor! };
  if (versionAtLeast(version, 3, 5)) return version;
  return refuse(`target version "${major}.${minor}" not supported. Minimal "3.5"`);
}

function refuse(text: string): never {
  throw new ExitError(EXIT.BAD_ARGS, text);
}
