// The public interface is what `api/` says; a change of it is made there as well, by `npm run api`.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from './helpers/real-etcd.ts';

interface Report {
  readonly text: string;
  readonly undocumented: readonly string[];
}

const { reports }: { reports(): ReadonlyMap<string, Report> } = await import(
  join(REPOSITORY, 'scripts/api-report.mjs')
);

const made = reports();

test('every entry of the package has a report', () => {
  const { exports } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
  const entries = Object.keys(exports)
    .filter((entry) => entry !== './package.json')
    .map((entry) => (entry === '.' ? 'tetcd' : entry.slice('./'.length)));
  expect([...made.keys()]).toEqual(entries.sort());
  expect(readdirSync(join(REPOSITORY, 'api')).sort()).toEqual(entries.map((name) => `${name}.md`));
});

test.each([...made])('%s exports what api/ says, each with a comment', (entry, report) => {
  expect(report.text).toBe(readFileSync(join(REPOSITORY, `api/${entry}.md`), 'utf8'));
  expect(report.undocumented).toEqual([]);
});
