// The tables of facts about etcd that stand beside the repository on the machines that check it.

import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const FOLDER = new URL('../../../shared/reference/', import.meta.url);

/** A test against one table. Where the table is absent it is skipped; under CI it fails. */
export function testWithReference<T>(name: string, file: string, run: (table: T) => void): void {
  const url = new URL(file, FOLDER);
  const isMissing = !existsSync(url);
  test.skipIf(isMissing && process.env['CI'] !== 'true')(
    `${name} (skipped without ${file})`,
    () => {
      if (isMissing)
        expect.fail(`${url.pathname} is missing, which only a run outside CI tolerates`);
      run(JSON.parse(readFileSync(url, 'utf8')) as T);
    },
  );
}
