// The advisories of etcd in docs/security.md, each with a test that is named after it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, need, REPOSITORY, sharedData } from './helpers/real-etcd.ts';

/** Of an advisory, or a commit of etcd that mends what has none. */
const ID = /\b(?:GHSA(?:-[a-z\d]{4}){3}|CVE-\d{4}-\d+|GO-\d{4}-\d+|(?=[a-f]*\d)[a-f\d]{9})\b/g;
const NOT_THERE = 'not there yet';

function idsIn(text: string): string[] {
  // `CVE-2018-1098 / 1099` names two.
  const whole = text.replace(/(CVE-\d{4}-)(\d+) ?\/ ?(\d+)\b/g, '$1$2 $1$3');
  return whole.match(ID) ?? [];
}

function read(path: string): string {
  return readFileSync(join(REPOSITORY, path), 'utf8');
}

interface Row {
  readonly ids: readonly string[];
  readonly where: string;
}

const [, section = ''] = read('docs/security.md').split('## Advisories of etcd\n');
const rows = section
  .split('\n## ')[0]!
  .split('\n')
  .filter((line) => /^\| (?!advisory |-)/.test(line))
  .map((line): Row => {
    const cells = line.split(' | ');
    return { ids: idsIn(cells[0]!), where: cells.at(-1)! };
  });

/** Ids in the titles of a file's tests: in texts, not in comments. */
function idsOfTitles(path: string): string[] {
  const code = read(path).replace(/^\s*\/\/.*$/gm, '');
  return (code.match(/(['"`])(?:(?!\1)[^\n])*\1/g) ?? []).flatMap(idsIn);
}

test('each advisory has an id', () => {
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter(({ ids }) => ids.length === 0)).toEqual([]);
});

test.each(rows.filter(({ where }) => !where.includes(NOT_THERE)))('$ids', ({ ids, where }) => {
  const paths = [...where.matchAll(/`([^`]+\.test\.ts)`/g)].map(([, path]) => path!);
  expect(paths.length).toBeGreaterThan(0);
  const titles = paths.map(idsOfTitles);
  // Nor is a file named that has none of them.
  for (const own of titles) expect(own.some((id) => ids.includes(id))).toBe(true);
  expect(ids.filter((id) => !titles.flat().includes(id))).toEqual([]);
});

const reference = sharedData('reference');
describeWith('the reference', [reference], () => {
  test('names no advisory that is missing here', () => {
    const threats = readFileSync(join(need(reference), 'threats.md'), 'utf8');
    const known = new Set(rows.flatMap(({ ids }) => ids));
    expect(idsIn(threats).length).toBeGreaterThan(30);
    expect(idsIn(threats).filter((id) => !known.has(id))).toEqual([]);
  });
});
