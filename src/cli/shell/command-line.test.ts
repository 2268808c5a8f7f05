import { describe, expect, test } from 'vitest';
import { runTetcdctl } from '../tetcdctl/program.ts';
import { MemoryIo } from './memory-io.fixture.ts';
import { wordFromText } from './words.ts';

/** Runs a command that needs no server. */
async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const io = new MemoryIo({ env });
  const code = await runTetcdctl(args.map(wordFromText), io);
  return { code, out: io.outText, err: io.errText };
}

const VERSION = 'etcdctl version: 3.7.1\nAPI version: 3.7\n';

describe('a command line', () => {
  test.each([
    [['version']],
    [['vers']],
    [['-w', 'json', 'version']],
    [['--write-out=json', 'version', '--hex']],
    [['version', '-wjson', '--hex=false', '--', 'ignored']],
    [['--command-timeout', '1s', '--endpoints', 'a,b', 'version', '--endpoints=c']],
  ])('%j', async (args) => {
    expect(await run(args)).toEqual({ code: 0, out: VERSION, err: '' });
  });

  test.each([
    [['get', '--bogus'], 'unknown flag: --bogus'],
    [['get', '-z'], "unknown shorthand flag: 'z' in -z"],
    [['watch', '-iz'], "unknown shorthand flag: 'z' in -z"],
    [['get', '--limit'], 'flag needs an argument: --limit'],
    [['get', '-w'], "flag needs an argument: 'w' in -w"],
    [['get', '--=x'], 'bad flag syntax: --=x'],
    [['get', '---x'], 'bad flag syntax: ---x'],
    [
      ['get', '--limit=é'],
      'invalid argument "é" for "--limit" flag: strconv.ParseInt: parsing "é": invalid syntax',
    ],
    [
      ['get', '--prefix=x'],
      'invalid argument "x" for "--prefix" flag: strconv.ParseBool: parsing "x": invalid syntax',
    ],
  ])('%j is refused', async (args, text) => {
    const { code, out, err } = await run(args);
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err).toContain(`Error: ${text}\nUsage:\n  tetcdctl ${args[0]} `);
  });

  test('an unknown command is named', async () => {
    expect(await run(['bogus', 'x'])).toEqual({
      code: 1,
      out: '',
      err: `Error: unknown command "bogus" for "tetcdctl"\nRun 'tetcdctl --help' for usage.\n`,
    });
    expect((await run(['bogus', '--help'])).code).toBe(1);
    expect((await run(['help', 'bogus'])).err).toMatch(/^Unknown help topic \[`bogus`\]\nUsage:\n/);
    expect((await run(['bogus', 'get', '--help'])).err).toContain('unknown command "bogus"');
    // What looks like a flag's value is none of ours to understand.
    expect((await run(['--bogus', 'get', 'a'])).code).toBe(1);
  });

  test('a beginning of a name that several commands have is refused', async () => {
    for (const beginning of ['e', 'l', 'de']) {
      expect((await run([beginning])).err).toContain(`unknown command "${beginning}"`);
    }
  });

  test('alone, or of a group, says what there is', async () => {
    for (const args of [[], ['--help'], ['-h'], ['help']]) {
      const { code, out } = await run(args);
      expect(code).toBe(0);
      expect(out).toMatch(/^ {2}compaction /m);
      expect(out).toMatch(/^Cluster maintenance:$/m);
    }
    for (const args of [['lease'], ['lease', '--help'], ['help', 'lease'], ['lease', 'bogus']]) {
      expect((await run(args)).out).toMatch(/^ {2}timetolive /m);
    }
    expect((await run(['get', '--help'])).out).toMatch(/^ {6}--limit int +most keys/m);
    expect((await run(['options'])).out).toMatch(
      /^ {2}-w, --write-out string .*\(default "simple"\)$/m,
    );
  });
});

describe('refused before anything is sent', () => {
  test.each<[readonly string[], number, string]>([
    [['get'], 128, 'get command needs one argument as key and an optional argument as range_end'],
    [['get', 'a', '-w', 'bogus'], 4, 'unsupported output format'],
    [['get', 'a', '--consistency', 'x'], 4, 'unknown consistency flag "x"'],
    [['get', 'a', '--order', 'up'], 4, 'bad sort order up'],
    [['put', 'a'], 128, 'put command needs 1 argument and input from stdin or 2 arguments'],
    [['del', 'a', '--prefix', '--from-key'], 128, 'cannot be set at the same time'],
    [['lease', 'grant', 'x'], 128, 'bad TTL (strconv.ParseInt: parsing "x": invalid syntax)'],
    [['compaction', 'x'], 1, 'strconv.ParseInt: parsing "x": invalid syntax'],
    [['txn', 'x'], 128, 'txn command does not accept argument'],
    [['watch'], 128, 'bad number of arguments'],
    [['move-leader'], 128, 'move-leader command needs 1 argument'],
    [['move-leader', '+5'], 128, 'strconv.ParseUint: parsing "+5": invalid syntax'],
    [['member', 'remove', 'x'], 128, 'bad member ID arg (strconv.ParseUint: parsing "x": invalid'],
    [['member', 'promote', '1'.repeat(17)], 128, 'value out of range), expecting ID in Hex'],
    [['member', 'update', '1'], 128, 'member peer urls not provided'],
    [['member', 'add', 'a', 'http://b:1'], 128, 'arguments, did you mean --peer-urls=http://b:1'],
    [['member', 'add', 'a', '--peer-urls=1.2:1'], 1, 'path segment in URL cannot contain colon'],
    [['member', 'list', '--consistency', 'x'], 4, 'unknown consistency flag "x"'],
    [['get', 'a', '--endpoints', 'http://'], 128, 'endpoint "http://"'],
    [['get', 'a', '--cert='], 128, 'empty string is passed to --cert option'],
    [['get', 'a', '--cert', 'x'], 128, 'KeyFile and CertFile must both be present'],
    [['get', 'a', '--cacert', '/no/such'], 128, 'open /no/such: no such file or directory'],
  ])('%j', async (args, code, text) => {
    const result = await run(args);
    expect(result.code).toBe(code);
    expect(result.err).toMatch(/^Error: /);
    expect(result.err).toContain(text);
    expect(result.out).toBe('');
  });
});

describe('the environment', () => {
  test('beside the same flag is refused', async () => {
    const { code, err } = await run(['get', 'a', '-w', 'simple'], { ETCDCTL_WRITE_OUT: 'json' });
    expect(code).toBe(1);
    expect(JSON.parse(err)).toMatchObject({
      level: 'fatal',
      'environment-variable': 'ETCDCTL_WRITE_OUT',
    });
  });

  test.each([
    ['ETCDCTL_DIAL_TIMEOUT', 'abc', '2s'],
    ['ETCDCTL_COMMAND_TIMEOUT', '5', '5s'],
    ['ETCDCTL_KEEPALIVE_TIME', '1d', '2s'],
    ['ETCDCTL_KEEPALIVE_TIMEOUT', 'x', '6s'],
    ['ETCDCTL_MAX_REQUEST_BYTES', '1MB', '0'],
    ['ETCDCTL_MAX_RECV_BYTES', '99999999999999999999', '0'],
    ['ETCDCTL_HEX', 'maybe', 'false'],
    ['ETCDCTL_INSECURE_DISCOVERY', 'maybe', 'false'],
    ['ETCDCTL_INSECURE_SKIP_TLS_VERIFY', 'maybe', 'false'],
    // No doubt ends without TLS.
    ['ETCDCTL_INSECURE_TRANSPORT', 'no', 'false'],
  ])('%s=%s is reported, and means %s', async (variable, value, shown) => {
    // What is refused after the settings were shown.
    const args = ['get', 'a', '--debug', '--write-out=bogus'];
    const { code, err } = await run(args, { [variable]: value });
    expect(code).toBe(4);
    const [line, ...settings] = err.split('\n');
    expect(JSON.parse(line!)).toMatchObject({
      level: 'warn',
      msg: 'environment variable without a valid value',
      'environment-variable': `${variable}=${value}`,
    });
    expect(settings).toContain(`${variable}=${shown}`);
  });

  test('sets what a command has from the group above it', async () => {
    const env = { ETCDCTL_CLUSTER: 'true', ETCDCTL_WRITE_OUT: 'bogus' };
    expect((await run(['endpoint', 'health'], env)).err).toBe('Error: unsupported output format\n');
    expect((await run(['get', 'a'], env)).err).toContain('ETCDCTL_CLUSTER=true');
    const both = await run(['endpoint', 'health', '--cluster=false'], env);
    expect(both.code).toBe(1);
    expect(JSON.parse(both.err)).toMatchObject({ 'environment-variable': 'ETCDCTL_CLUSTER' });
  });

  test('is told what it means nothing to, but for the version of the API', async () => {
    const { code, err } = await run(['get', 'a'], {
      ETCDCTL_API: '3',
      ETCDCTL_BOGUS: '1',
      ETCDCTL_WRITE_OUT: 'bogus',
    });
    expect(code).toBe(4);
    const [line, error] = err.split('\n');
    expect(JSON.parse(line!)).toMatchObject({
      level: 'warn',
      'environment-variable': 'ETCDCTL_BOGUS=1',
    });
    expect(error).toBe('Error: unsupported output format');
  });

  test('is not looked at by commands that need no server', async () => {
    expect(await run(['version'], { ETCDCTL_BOGUS: '1' })).toMatchObject({ code: 0, err: '' });
  });
});
