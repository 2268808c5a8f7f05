// Failpoints: each name stands for a moment of the source, and a process does what they say.

import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FAILPOINT_NAMES } from '../src/base/failpoints.ts';
import { ApiClient } from './helpers/api.ts';
import { READY, serverUnderTest, temporaryDirectory } from './helpers/member.ts';
import { describeWith, need, REPOSITORY, sharedData } from './helpers/real-etcd.ts';
import { freePort, ServerProcess } from './helpers/server-process.ts';
import { flagsOf, freeAddresses } from './process/flags.ts';

const PAGE = readFileSync(join(REPOSITORY, 'docs', 'failpoints.md'), 'utf8');

/** Names in the first column of the table of those that there are not. */
function absentNames(): string[] {
  const table = PAGE.slice(PAGE.indexOf('## Which there are'));
  const rows = [...table.matchAll(/^\| (`[^|]*)\|/gm)].map((match) => match[1]!);
  return rows.flatMap((row) => [...row.matchAll(/`(\w+)`/g)].map((match) => match[1]!));
}

test('every name is one moment or more in the source', () => {
  const source = execFileSync('git', ['grep', '-hoE', "'[a-zA-Z]+'", '--', 'src/*.ts'], {
    cwd: REPOSITORY,
    encoding: 'utf8',
  }).split('\n');
  const counts = new Map<string, number>();
  for (const word of source) counts.set(word, (counts.get(word) ?? 0) + 1);
  // One is the list itself.
  expect(FAILPOINT_NAMES.filter((name) => (counts.get(`'${name}'`) ?? 0) < 2)).toEqual([]);
});

const reference = sharedData('reference/failpoints.json');
describeWith('beside the reference', [reference], () => {
  test('every failpoint of etcd is here, or the page says why not', () => {
    const { server, bbolt } = JSON.parse(readFileSync(need(reference), 'utf8')) as Record<
      string,
      { name: string }[]
    >;
    const theirs = [...server!, ...bbolt!].map(({ name }) => name).sort();
    expect([...FAILPOINT_NAMES, ...absentNames()].sort()).toEqual(theirs);
  });
});

const ours = serverUnderTest();
describeWith('a process', [ours], () => {
  const directory = temporaryDirectory();
  let address: string;
  let started: ServerProcess;
  let client: ApiClient;
  beforeAll(async () => {
    address = `127.0.0.1:${await freePort()}`;
    const addresses = await freeAddresses();
    const command = [...need(ours).command, ...flagsOf(directory, addresses)];
    const env = { GOFAIL_HTTP: address, GOFAIL_FAILPOINTS: 'beforePublishing=1*print;nothing=off' };
    started = new ServerProcess('tetcd', command, { env });
    await started.line(READY, 30_000);
    client = new ApiClient(`127.0.0.1:${addresses.client}`);
  });
  afterAll(async () => {
    client?.close();
    if (started?.isRunning === true) await started.end('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  async function ask(method: string, path: string, body?: string): Promise<string> {
    const answer = await fetch(`http://${address}/${path}`, { method, ...(body && { body }) });
    const allow = answer.headers.get('allow');
    return `${answer.status} ${allow === null ? '' : `(${allow}) `}${await answer.text()}`;
  }

  // Statuses and texts of gofail's `runtime/http.go`.
  test('lists, sets, tells and takes away', async () => {
    const list = await ask('GET', '');
    expect(list).toContain('\nbeforePublishing=1*print\n');
    expect(list.match(/\n/g)).toHaveLength(FAILPOINT_NAMES.length);
    expect(started.log()).toContain('failpoint print: beforePublishing');
    expect(await ask('GET', 'beforePublishing/count')).toBe('200 1');
    expect(await ask('GET', 'nothing')).toBe(
      '404 failed to GET: failpoint: failpoint does not exist\n\n',
    );
    expect(await ask('GET', 'beforeCommit')).toBe(
      '404 failed to GET: failpoint: failpoint is disabled\n\n',
    );
    expect(await ask('GET', 'beforeCommit/count')).toMatch(/^500 /);
    expect(await ask('PUT', 'beforeCommit', 'x')).toBe(
      '400 fail to set failpoint: failpoint: could not parse terms\n',
    );
    expect(await ask('PUT', 'nothing', 'off')).toBe(
      '400 fail to set failpoint: failpoint: failpoint does not exist\n',
    );
    expect(await ask('PUT', 'failpoints', 'beforeCommit')).toBe(
      '400 fail to parse failpoint: bad failpoint "beforeCommit"\n',
    );
    expect(await ask('PUT', 'failpoints', 'beforeCommit=off;afterCommit=2*off')).toBe('204 ');
    expect(await ask('GET', 'afterCommit')).toBe('200 2*off\n');
    expect(await ask('DELETE', 'afterCommit')).toBe('204 ');
    expect(await ask('DELETE', 'afterCommit')).toBe(
      '400 failed to delete failpoint failpoint: failpoint is disabled\n',
    );
    expect(await ask('POST', 'afterCommit')).toBe('405 (PUT) Method not allowed\n');
  });

  test('a sleep holds its moment, and nothing else', async () => {
    expect(await ask('PUT', 'walBeforeSync', '1*sleep(400)')).toBe('204 ');
    const began = performance.now();
    const put = client.must('KV/Put', { key: 'k', value: 'v' });
    const read = await client.must('KV/Range', { key: 'k', serializable: true });
    expect(read['count'] ?? '0').toBe('0');
    await put;
    expect(performance.now() - began).toBeGreaterThanOrEqual(390);
    expect(await ask('GET', 'walBeforeSync/count')).toBe('200 1');
  });

  test('a failure is what it says', async () => {
    expect(await ask('PUT', 'defragdbFail', '1*return("not today")')).toBe('204 ');
    const { details } = await client.call('Maintenance/Defragment', {});
    expect(details).toContain('not today');
    await client.must('Maintenance/Defragment', {});
  });

  test('a panic is answered first, and ends the process as Go does', async () => {
    expect(await ask('PUT', 'raftBeforeSave', 'panic("the end")')).toBe('204 ');
    void client.call('KV/Put', { key: 'k', value: 'last' });
    expect(await started.ended(10_000)).toBe('2');
    expect(started.log()).toContain('panic: failpoint panic: the end');
  });
});
