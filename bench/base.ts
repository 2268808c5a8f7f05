// A revision of this repository, built to be measured beside the working tree.

import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Program } from '../test/helpers/member.ts';
import { REPOSITORY } from '../test/helpers/real-etcd.ts';
import { run } from '../test/helpers/run.ts';

const BUILD_TIMEOUT_MS = 300_000;

async function must(command: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run([...command], { cwd, timeoutMs: BUILD_TIMEOUT_MS });
  if (code === 0) return stdout.trim();
  throw new Error(`${command.join(' ')} failed: ${(stderr || stdout).slice(-2000)}`);
}

export interface BaseRevision {
  readonly program: Program;
  remove(): void;
}

/**
 * Builds `revision` (anything that git resolves) in a temporary directory. Its packages are those
 * of the working tree unless the lock file differs; then they are installed. Throws if git does not
 * know the revision or its build fails.
 */
export async function buildBase(revision: string): Promise<BaseRevision> {
  const commit = await must(['git', 'rev-parse', '--short', `${revision}^{commit}`], REPOSITORY);
  const directory = mkdtempSync(join(tmpdir(), 'tetcd-base-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    const archive = join(directory, 'tree.tar');
    const tree = join(directory, 'tree');
    await must(['git', 'archive', '--output', archive, commit], REPOSITORY);
    mkdirSync(tree);
    await must(['tar', '-xf', archive, '-C', tree], directory);
    const samePackages = await run(['git', 'diff', '--quiet', commit, '--', 'package-lock.json'], {
      cwd: REPOSITORY,
    });
    if (samePackages.code === 0) {
      symlinkSync(join(REPOSITORY, 'node_modules'), join(tree, 'node_modules'));
    } else {
      await must(['npm', 'ci', '--no-audit', '--no-fund'], tree);
    }
    await must(['npm', 'run', '--silent', 'build'], tree);
    // Revisions before the commands were bundled have them in dist/cli.
    const main = ['dist/bin/tetcd.js', 'dist/cli/tetcd.js']
      .map((path) => join(tree, path))
      .find((path) => existsSync(path));
    if (main === undefined) throw new Error(`${revision} builds no server`);
    const name = `base ${commit}`;
    return { program: { name, release: '3.7', command: [process.execPath, main] }, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
