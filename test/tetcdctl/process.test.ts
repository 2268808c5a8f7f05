// The command as a process: standard input and output, programs that it runs, and how it ends.

import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Member, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, systemProgram } from '../helpers/real-etcd.ts';
import { type RunResult, run } from '../helpers/run.ts';
import { freePort } from '../helpers/server-process.ts';
import { built, MAIN, Running } from './running.ts';

const TIMEOUT_MS = 20_000;

function ctl(
  endpoint: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<RunResult> {
  return run([process.execPath, MAIN, `--endpoints=${endpoint}`, ...args], options);
}

describeWith('tetcdctl as a process', [built, serverUnderTest()], () => {
  let member: Member;
  beforeAll(async () => {
    member = await Member.start(need(serverUnderTest()));
  });
  afterAll(() => member.dispose());

  /** Puts and waits until the running watch has printed something new. */
  async function putUntil(watch: Running, key: string, value: string): Promise<void> {
    const before = watch.stdout.length;
    const deadline = performance.now() + TIMEOUT_MS;
    // The watch may still be on its way: repeat until it is there.
    while (watch.stdout.length === before && performance.now() < deadline) {
      await ctl(member.endpoint, ['put', key, value]);
    }
  }

  test('stores standard input, bytes of any kind and size', async () => {
    const input = `\0line\n${'x'.repeat(300_000)}`;
    expect((await ctl(member.endpoint, ['put', 'piped'], { input })).stdout).toBe('OK\n');
    const got = await ctl(member.endpoint, ['get', 'piped', '--print-value-only']);
    expect(got.stdout).toBe(`${input}\n`);
  });

  test.runIf(process.platform === 'linux')('takes arguments that are no UTF-8', async () => {
    const call = `'${process.execPath}' '${MAIN}' --endpoints=${member.endpoint}`;
    const script = `key=$(printf 'raw\\377'); ${call} put "$key" "$key" && ${call} get "$key" --hex`;
    expect((await run(['sh', '-c', script])).stdout).toBe(
      `OK\n${'\\x72\\x61\\x77\\xff\n'.repeat(2)}`,
    );
  });

  test('stops quietly when its reader does', async () => {
    const many = Array.from({ length: 60 }, (_unused, i) => `put many${i} ${'y'.repeat(2_000)}`);
    const txn = await ctl(member.endpoint, ['txn'], { input: `\n${many.join('\n')}\n\n\n` });
    expect(txn.code).toBe(0);
    const get = `'${process.execPath}' '${MAIN}' --endpoints=${member.endpoint} get many --prefix`;
    const { stdout, stderr } = await run(['sh', '-c', `${get} | head -n 1`]);
    expect({ stdout, stderr }).toEqual({ stdout: 'many0\n', stderr: '' });
  });

  test('watches, and runs a program for each event', async () => {
    const plain = Running.ctl(member.endpoint, ['watch', 'w']);
    const script = 'echo "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"';
    const exec = Running.ctl(member.endpoint, ['watch', 'w', '--', 'sh', '-c', script]);
    await Promise.all([putUntil(plain, 'w', 'a"b'), putUntil(exec, 'w', 'a"b')]);
    await plain.until(() => plain.stdout.startsWith('PUT\nw\na"b\n'));
    await exec.until(() => exec.stdout.includes('PUT\nw\na"b\n"PUT" "w" "a\\"b"\n'));
    await Promise.all([plain.end(), exec.end()]);
  });

  test('ends with 1 when that program fails', async () => {
    const exec = Running.ctl(member.endpoint, ['watch', 'f', '--', 'sh', '-c', 'exit 7']);
    await putUntil(exec, 'f', '1');
    expect(await exec.closed).toBe(1);
    expect(exec.stderr).toBe('command ["sh" "-c" "exit 7"] error (exit status 7)\n');
  });

  test('takes commands for watches from standard input', async () => {
    const watch = Running.ctl(member.endpoint, ['watch', '-i']);
    watch.child.stdin.write('watch i1\nwatch i2 --prefix\nbogus\n');
    await watch.until(() => watch.stderr.includes('Invalid command bogus (only support watch)'));
    await putUntil(watch, 'i2x', '2');
    await watch.until(() => watch.stdout.includes('PUT\ni2x\n2\n'));
    watch.child.stdin.write('progress\n');
    await watch.until(() => /progress notify: \d+\nprogress notify: \d+\n/.test(watch.stdout));
    watch.child.stdin.end();
    expect(await watch.closed).toBe(3);
    expect(watch.stderr).toMatch(/Error: error reading watch request line: EOF\n$/);
  });

  test('saves a snapshot as a file that only its owner reads, and that ends with its SHA-256', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'snapshot-'));
    const path = join(directory, 'saved');
    const { code, stdout, stderr } = await ctl(member.endpoint, ['snapshot', 'save', path]);
    expect(code, stderr).toBe(0);
    expect(stdout).toBe(`Snapshot saved at ${path}\nServer version 3.7.0\n`);
    const bytes = readFileSync(path);
    const sum = createHash('sha256').update(bytes.subarray(0, -32)).digest();
    expect(bytes.subarray(-32)).toEqual(sum);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['saved']);
    rmSync(directory, { recursive: true });
  });

  test('keeps a lease alive until it is revoked', async () => {
    const granted = await ctl(member.endpoint, ['lease', 'grant', '2']);
    const id = /lease ([0-9a-f]{16}) granted/.exec(granted.stdout)![1]!;
    const keeping = Running.ctl(member.endpoint, ['lease', 'keep-alive', id]);
    await keeping.until(() => keeping.stdout.split('keepalived').length > 4);
    await ctl(member.endpoint, ['lease', 'revoke', id]);
    expect(await keeping.closed).toBe(0);
    expect(keeping.stdout).toMatch(new RegExp(`lease ${id} expired or revoked.\n$`));
  });

  test('goes on watching when the member restarts', async () => {
    const watch = Running.ctl(member.endpoint, ['watch', 'restarted', '--prefix']);
    await putUntil(watch, 'restarted', 'before');
    await member.kill();
    await member.restart();
    const { stdout } = await ctl(member.endpoint, ['put', 'restarted2', 'after']);
    expect(stdout).toBe('OK\n');
    await watch.until(() => watch.stdout.endsWith('PUT\nrestarted2\nafter\n'));
    expect(watch.stderr).toBe('');
    await watch.end();
  });
});

describeWith('tetcdctl without a server', [built], () => {
  describe('gives up after the time for commands', () => {
    test.each([
      [['get', 'a'], 1, 'Error: context deadline exceeded\n'],
      [['put', 'a', 'b'], 1, 'Error: context deadline exceeded\n'],
      [['lease', 'list'], 2, 'Error: context deadline exceeded\n'],
      [
        ['endpoint', 'health'],
        1,
        'ENDPOINT is unhealthy: failed to commit proposal: context deadline exceeded\n' +
          'Error: unhealthy cluster\n',
      ],
      [
        ['endpoint', 'status'],
        1,
        'Failed to get the status of endpoint ENDPOINT (context deadline exceeded)\n',
      ],
    ])('%j', async (args, code, stderr) => {
      const endpoint = `127.0.0.1:${await freePort()}`;
      const result = await ctl(endpoint, [...args, '--command-timeout=300ms']);
      const [log, ...lines] = result.stderr.split('\n');
      expect(JSON.parse(log!)).toMatchObject({ error: expect.stringContaining('ECONNREFUSED') });
      expect({ ...result, stderr: lines.join('\n') }).toEqual({
        code,
        stdout: '',
        stderr: stderr.replace('ENDPOINT', endpoint),
      });
    });
  });
});

const script = systemProgram('script');
describeWith('tetcdctl at a terminal', [built, script], () => {
  /** Keys typed when each of the texts has been printed; then how it ended, and all that was shown. */
  async function typed(
    args: readonly string[],
    ...keys: readonly (readonly [after: string, keys: string])[]
  ): Promise<{ readonly code: number | null; readonly shown: string }> {
    const line = [process.execPath, MAIN, '--endpoints=127.0.0.1:1', ...args].join(' ');
    const terminal = new Running([need(script), '-qefc', line, '/dev/null']);
    for (const [after, text] of keys) {
      await terminal.until(() => terminal.stdout.endsWith(after));
      terminal.child.stdin.write(text);
    }
    return { code: await terminal.closed, shown: terminal.stdout };
  }

  const FIRST = 'Password of u: ';
  const AGAIN = 'Type password of u again for confirmation: ';

  test('asks for a password twice, and does not show it', async () => {
    const { code, shown } = await typed(
      ['user', 'add', 'u'],
      [FIRST, 'first\r'],
      [AGAIN, 'other\r'],
    );
    expect(shown).toBe(`${FIRST}\r\n${AGAIN}\r\nError: given passwords are different\r\n`);
    expect(code).toBe(128);
  });

  test('takes both lines at once, and keys that correct them', async () => {
    const keys = 'secrex\x7ft\rwrong\x15secret\r';
    const { code, shown } = await typed(
      ['user', 'add', 'u', '--command-timeout=1ms'],
      [FIRST, keys],
    );
    expect(shown).toContain(`${AGAIN}\r\n`);
    expect(shown).toContain('Error: context deadline exceeded\r\n');
    expect(shown).not.toContain('secret');
    expect(code).toBe(1);
  });

  test('asks for the password of --user; ends with 255 when it is interrupted', async () => {
    const { code, shown } = await typed(['--user=u', 'get', 'a'], ['Password: ', 'sec\x03']);
    expect(shown).toBe('Password: ');
    expect(code).toBe(255);
  });
});
