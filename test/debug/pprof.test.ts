// Profiles of a running member: opened by Go's own tool, and refused as Go's handlers refuse.

import { rmSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, expect, test } from 'vitest';
import { ApiClient } from '../helpers/api.ts';
import {
  Member,
  type Program,
  realProgram,
  serverUnderTest,
  temporaryDirectory,
} from '../helpers/member.ts';
import { describeWith, need, realEtcd, systemProgram } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { freePort } from '../helpers/server-process.ts';

const ours = serverUnderTest();
const go = systemProgram('go');
const real = realEtcd('3.7');

const members: Member[] = [];
const directory = temporaryDirectory();
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function start(flags: readonly string[], program: Program = need(ours)): Promise<Member> {
  const member = await Member.start(program, { flags });
  members.push(member);
  return member;
}

const get = (member: Member, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${member.clientUrl}${path}`, { redirect: 'manual', ...init });

/** Puts and ranges until `over` settles. */
async function work(member: Member, over: Promise<unknown>): Promise<void> {
  const client = new ApiClient(member.endpoint);
  let goesOn = true;
  const stop = (): void => {
    goesOn = false;
  };
  void over.then(stop, stop);
  const one = async (key: string): Promise<void> => {
    while (goesOn) {
      await client.must('KV/Put', { key, value: 'v'.repeat(1000) });
      await client.must('KV/Range', { key: 'k', range_end: 'l' });
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, i) => one(`k${i}`)));
  client.close();
}

/** What `go tool pprof` prints of a page. */
async function pprof(member: Member, view: string, page: string): Promise<string> {
  const url = `${member.clientUrl}/debug/pprof/${page}`;
  const { code, stdout, stderr } = await run(
    [need(go), 'tool', 'pprof', view, '-nodecount=2000', url],
    { env: { PPROF_TMPDIR: directory }, timeoutMs: 60_000 },
  );
  expect([code, stderr]).toEqual([0, expect.not.stringMatching(/error|failed/i)]);
  return stdout;
}

describeWith('go tool pprof opens', [ours, go], () => {
  test('what used the processor', async () => {
    const member = await start(['--enable-pprof']);
    expect(member.log()).toContain('"msg":"pprof is enabled","path":"/debug/pprof"');
    const profile = pprof(member, '-top', 'profile?seconds=2');
    await work(member, profile);
    const text = await profile;
    expect(text).toMatch(/^Type: cpu$/m);
    expect(text).toMatch(/^Duration: [23]/m);
    expect(text).toMatch(/#applySome \(run-member\.js:\d+\)/);
    expect(text).not.toContain('(idle)');
  });

  test('what is on the heap, what was allocated, and what is under way', async () => {
    const member = await start(['--enable-pprof']);
    const watcher = new ApiClient(member.endpoint);
    const watch = watcher.stream('Watch/Watch');
    watch.send({ create_request: { key: 'other' } });
    expect(await watch.until(() => watch.received.length > 0)).toBe(true);
    const allocations = pprof(member, '-top', 'allocs?seconds=2');
    await work(member, allocations);
    expect(await allocations).toMatch(/^Type: alloc_space$/m);
    expect(await allocations).toMatch(/\(run-member\.js:\d+\)/);
    const heap = await pprof(member, '-top', 'heap?gc=1');
    expect(heap).toMatch(/^Type: inuse_space$/m);
    expect(heap).toContain('(array buffers)');
    expect(heap).toMatch(/^objects allocated since \d{4}-.*Z; buffers/m);
    expect(await pprof(member, '-top', 'heap?seconds=1')).toMatch(/^Duration: 1/m);
    const activity = await pprof(member, '-traces', 'goroutine');
    expect(activity).toMatch(/1 +\/etcdserverpb\.Watch\/Watch\n +open calls/);
    expect(activity).toMatch(/\d +TCPSocketWrap\n +event loop/);
    watch.cancel();
    watcher.close();
    for (const page of ['block', 'mutex']) {
      expect(await pprof(member, '-top', page)).toMatch(/^Type: delay$/m);
    }
  });
});

describeWith('/debug/pprof/', [ours], () => {
  test('is for who asks for it, and on client addresses only', async () => {
    const metrics = `http://127.0.0.1:${await freePort()}`;
    const member = await start([`--listen-metrics-urls=${metrics}`]);
    expect((await get(member, '/debug/pprof/')).status).toBe(404);
    await member.stop();
    await member.restart({ flags: [`--listen-metrics-urls=${metrics}`, '--enable-pprof'] });
    expect((await get(member, '/debug/pprof/')).status).toBe(200);
    expect((await fetch(`${metrics}/debug/pprof/`)).status).toBe(404);
  });

  test('is there with the log level debug, too', async () => {
    const member = await start(['--log-level=debug']);
    const page = await get(member, '/debug/pprof/heap');
    expect(page.headers.get('content-disposition')).toBe('attachment; filename="heap"');
    expect(gunzipSync(Buffer.from(await page.arrayBuffer())).length).toBeGreaterThan(100);
  });

  test('has texts for people, without the environment', async () => {
    const member = await start(['--enable-pprof']);
    const index = await (await get(member, '/debug/pprof/')).text();
    expect(index).toMatch(/<td>[1-9]\d*<\/td><td><a href='goroutine\?debug=1'>/);
    const text = async (path: string) => (await get(member, `/debug/pprof/${path}`)).text();
    expect(await text('heap?debug=1')).toMatch(/^heap profile: total \d+\n\d+ @\n#\t/);
    expect(await text('goroutine?debug=1')).toMatch(/^goroutine profile: total [1-9]/);
    const handles = await text('goroutine?debug=2');
    expect(handles).toContain(`"port":${member.port}`);
    expect(handles).not.toContain(process.env['PATH']);
    expect(await text('cmdline')).toContain('\0--enable-pprof');
    expect(await text('symbol')).toBe('num_symbols: 0\n');
  });

  test('takes one profile at a time, and ends it with who asked', async () => {
    const member = await start(['--enable-pprof']);
    const leaves = new AbortController();
    const long = get(member, '/debug/pprof/profile?seconds=600', { signal: leaves.signal });
    const refusal = async (): Promise<string> => {
      const answer = await get(member, '/debug/pprof/profile?seconds=1');
      return answer.status === 500 ? answer.text() : '';
    };
    while ((await refusal()) === '');
    expect(await refusal()).toBe('Could not enable CPU profiling: cpu profiling already in use\n');
    leaves.abort();
    await expect(long).rejects.toThrow();
    while ((await refusal()) !== '');
    const tooLong = await get(member, '/debug/pprof/profile?seconds=601');
    expect([tooLong.status, await tooLong.text()]).toEqual([
      400,
      '"seconds" must not be more than 600\n',
    ]);
  });

  test('says what there is no answer to', async () => {
    const member = await start(['--enable-pprof']);
    for (const page of ['trace', 'threadcreate']) {
      const answer = await get(member, `/debug/pprof/${page}`);
      expect([answer.status, answer.headers.get('x-go-pprof')]).toEqual([501, '1']);
    }
  });
});

describeWith('/debug/pprof/ answers as etcd', [ours, real], () => {
  const PATHS = [
    '/debug/pprof',
    '/debug/pprof/',
    '/debug/pprof/nosuch',
    '/debug/pprof/profile/x',
    '/debug/pprof/heap',
    '/debug/pprof/heap?seconds=x',
    '/debug/pprof/heap?seconds=0',
    '/debug/pprof/heap?seconds=-1',
    '/debug/pprof/heap?seconds=1&debug=1',
    '/debug/pprof/heap?seconds=1',
    '/debug/pprof/heap?debug=x',
    '/debug/pprof/heap?debug=1',
    '/debug/pprof/goroutine?debug=2',
    '/debug/pprof/goroutine?seconds=x',
    '/debug/pprof/block?debug=1',
    '/debug/pprof/mutex',
    '/debug/pprof/cmdline',
    '/debug/pprof/symbol',
    '/debug/pprof/profile?seconds=1',
    '/debug/pprof/profile?seconds=1&debug=1',
    '/debug',
    '/debug/',
  ];
  /** Texts that are Go's own. */
  const SAME_TEXT = /nosuch|\/x$|seconds=(?:x|0|-1)|heap\?seconds=1&debug|^\/debug\/?$/;

  test('with the same status, type and refusals', async () => {
    const [own, theirs] = await Promise.all([
      start(['--enable-pprof']),
      start(['--enable-pprof'], realProgram(need(real))),
    ]);
    const NAMES = ['content-type', 'content-disposition', 'x-content-type-options', 'x-go-pprof'];
    for (const path of PATHS) {
      const [a, b] = await Promise.all([get(own, path), get(theirs, path)]);
      const seen = (answer: Response) => [
        answer.status,
        ...[...NAMES, 'location', 'access-control-allow-origin'].map((name) =>
          answer.headers.get(name),
        ),
      ];
      expect(seen(a), path).toEqual(seen(b));
      const [own1, theirs1] = [await a.text(), await b.text()];
      if (SAME_TEXT.test(path)) expect(own1, path).toBe(theirs1);
    }
  });
});
