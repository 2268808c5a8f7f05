// The tables of facts about etcd that stand beside the repository on the machines that check it.

import { readFileSync } from 'node:fs';
import { test } from 'vitest';
import { describeWith, need, sharedData } from '../../test/helpers/real-etcd.ts';

/** A test against one table. Where the table is absent it is skipped; under CI it fails. */
export function testWithReference<T>(name: string, file: string, run: (table: T) => void): void {
  const found = sharedData(`reference/${file}`);
  describeWith(`beside ${file}`, [found], () => {
    test(name, () => run(JSON.parse(readFileSync(need(found), 'utf8')) as T));
  });
}
