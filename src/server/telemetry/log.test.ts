import { spawnSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { describeWith, need, realEtcd } from '../../../test/helpers/real-etcd.ts';
import type { LogConfig } from '../config/index.ts';
import { createLogger, type Logger } from './log.ts';
import { timestamp } from './log-format.ts';
import { openOutputs } from './log-outputs.ts';
import { logProcessTrouble } from './log-process.ts';

const AT_MS = Date.UTC(2026, 0, 2, 15, 4, 5, 999) + 0.9995;
let upMs = 0;
const clock = { wallMs: () => AT_MS, monotonicMs: () => upMs };
const savedZone = process.env['TZ'];

afterEach(() => {
  if (savedZone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = savedZone;
});

function capture(config: Pick<LogConfig, 'level' | 'format'>): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line) };
  return { log: createLogger(config, sink, clock, 'server/boot/boot.ts'), lines };
}

test('a JSON line has level, time, caller and message before its fields, in their order', () => {
  process.env['TZ'] = 'UTC';
  const { log, lines } = capture({ level: 'info', format: 'json' });
  log.info('opened backend db', {
    path: 'd/member/snap/db',
    took: '1.3ms',
    index: 7,
    id: 2n ** 63n,
    ids: [1n, 2n ** 64n - 1n],
    urls: ['http://a:1', 'quo"te\n'],
    ok: true,
    missing: undefined,
    error: new Error('broken <&>'),
    ratio: Number.NaN,
  });
  expect(lines).toEqual([
    '{"level":"info","ts":"2026-01-02T15:04:05.999999Z","caller":"server/boot/boot.ts",' +
      '"msg":"opened backend db","path":"d/member/snap/db","took":"1.3ms","index":7,' +
      '"id":9223372036854775808,"ids":[1,18446744073709551615],' +
      '"urls":["http://a:1","quo\\"te\\n"],"ok":true,"error":"broken <&>","ratio":null}\n',
  ]);
});

test('a console line is separated by tabs and ends in spaced JSON', () => {
  process.env['TZ'] = 'UTC';
  const { log, lines } = capture({ level: 'info', format: 'console' });
  log.warn('no "fields"\there');
  log.error('some', { a: 'x,y:"z"', b: [1, 2], c: 2n ** 60n });
  expect(lines).toEqual([
    '2026-01-02T15:04:05.999999Z\twarn\tserver/boot/boot.ts\tno "fields"\there\n',
    '2026-01-02T15:04:05.999999Z\terror\tserver/boot/boot.ts\tsome\t' +
      '{"a": "x,y:\\"z\\"", "b": [1, 2], "c": 1152921504606846976}\n',
  ]);
});

test('levels below the chosen one are not written', () => {
  const { log, lines } = capture({ level: 'warn', format: 'json' });
  expect(log.debugEnabled).toBe(false);
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  log.fatal('e');
  expect(lines.map((line) => JSON.parse(line).level)).toEqual(['warn', 'error', 'fatal']);
});

test('a child names its caller, and fields given once come first on every line', () => {
  const { log, lines } = capture({ level: 'debug', format: 'json' });
  const child = log
    .with({ 'cluster-id': 'abc' })
    .child('server/consensus/ready-loop.ts')
    .with({ n: 1 });
  child.debug('x', { n: 2, m: 3 });
  log.debug('y');
  const [first, second] = lines.map((line) => JSON.parse(line));
  expect(Object.keys(first)).toEqual(['level', 'ts', 'caller', 'msg', 'cluster-id', 'n', 'm']);
  expect(first).toMatchObject({
    caller: 'server/consensus/ready-loop.ts',
    'cluster-id': 'abc',
    n: 2,
    m: 3,
  });
  expect(second.caller).toBe('server/boot/boot.ts');
  expect(second).not.toHaveProperty('cluster-id');
});

test('whatever is logged, every line is one JSON object', () => {
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.double(), fc.bigInt(), fc.boolean());
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.dictionary(fc.string(), value), (msg, fields) => {
      const { log, lines } = capture({ level: 'debug', format: 'json' });
      log.debug(msg, fields);
      expect(lines).toHaveLength(1);
      expect(lines[0]!.indexOf('\n')).toBe(lines[0]!.length - 1);
      expect(JSON.parse(lines[0]!)).toHaveProperty('level');
    }),
  );
});

test('the time carries the local zone unless it is UTC', () => {
  process.env['TZ'] = 'Asia/Kolkata';
  expect(timestamp(AT_MS)).toBe('2026-01-02T20:34:05.999999+0530');
  process.env['TZ'] = 'America/New_York';
  expect(timestamp(AT_MS)).toBe('2026-01-02T10:04:05.999999-0500');
  process.env['TZ'] = 'UTC';
  expect(timestamp(Date.UTC(2026, 0, 1))).toBe('2026-01-01T00:00:00.000000Z');
});

test('several files get every line, appended; one that cannot be opened is an error', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tetcd-log-'));
  const config = { level: 'info', format: 'json', rotation: undefined } as const;
  try {
    const outputs = [join(directory, 'a.log'), join(directory, 'b.log')];
    for (const msg of ['one', 'two']) {
      const opened = await openOutputs({ ...config, outputs }, clock);
      const log = createLogger(config, opened, clock, 'x');
      log.info(msg);
      log.end();
    }
    for (const path of outputs) {
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
      expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['one', 'two']);
    }
    const missing = [join(directory, 'missing', 'c.log')];
    await expect(openOutputs({ ...config, outputs: missing }, clock)).rejects.toThrow(/ENOENT/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a device is not rotated, though the settings ask for it', async () => {
  const before = statSync('/dev/null').ino;
  const rotation = { maxBytes: 1, maxAgeMs: 0, maxBackups: 0, localTime: false, compress: false };
  const outputs = await openOutputs({ format: 'json', outputs: ['/dev/null'], rotation }, clock);
  outputs.write('one\n', true);
  outputs.write('two\n', true);
  expect(statSync('/dev/null').ino).toBe(before);
});

test('a fatal line is written before the call returns, others with the rest of their turn', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tetcd-log-'));
  try {
    const path = join(directory, 'a.log');
    const outputs = [path];
    const config = { level: 'info', format: 'console', outputs, rotation: undefined } as const;
    const log = createLogger(config, await openOutputs(config, clock), clock, 'x');
    log.info('one');
    expect(readFileSync(path, 'utf8')).toBe('');
    log.fatal('two');
    expect(readFileSync(path, 'utf8')).toMatch(/one\n.*\tfatal\tx\ttwo\n$/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a flood of one kind is thinned out; the next line says by how many, other kinds go on', () => {
  const { log, lines } = capture({ level: 'debug', format: 'json' });
  const peer = log.child('peer').with({ local: 'a1' });
  const flood = (count: number) => {
    for (let i = 0; i < count; i++) peer.warn('request cluster ID mismatch', { number: i });
  };
  const written = () => lines.splice(0).map((line) => JSON.parse(line));
  flood(100);
  expect(written()).toHaveLength(100);
  flood(1000);
  log.info('another kind');
  expect(written()).toMatchObject([{ msg: 'another kind' }]);
  expect(log.missing).toEqual({ lost: 0, suppressed: 1000 });
  upMs += 1000;
  flood(50);
  const [first, ...others] = written();
  expect(first).toMatchObject({ number: 0, suppressed: 1000 });
  expect(others).toHaveLength(9);
  expect(others.some((line) => 'suppressed' in line)).toBe(false);
  // Raft's texts differ by numbers and ids only.
  for (let i = 0; i < 1000; i++)
    log.warn(`ignored a MsgVote from 8f${i.toString(16)} at term ${i}`);
  expect(written()).toHaveLength(100);
  // What a developer follows, and what ends the member, is never left out.
  for (let i = 0; i < 200; i++) log.debug('step');
  for (let i = 0; i < 200; i++) log.fatal('the member cannot go on');
  expect(written()).toHaveLength(400);
});

test('a text that somebody else made long is cut', () => {
  const { log, lines } = capture({ level: 'info', format: 'json' });
  log.warn('failed to parse path into ID', { path: 'x'.repeat(100_000) });
  expect(lines[0]!.length).toBeLessThan(5000);
  expect(JSON.parse(lines[0]!).path).toMatch(/^x{4096}\.\.\. \(100000 characters\)$/);
});

test('warnings and uncaught failures of the runtime become lines of the log', () => {
  const events = new EventEmitter();
  events.on('warning', () => expect.unreachable('the printing listener is gone'));
  const { log, lines } = capture({ level: 'debug', format: 'json' });
  const stops: unknown[] = [];
  logProcessTrouble(events, log, (error) => stops.push(error));
  events.emit('warning', new Error('old API'));
  events.emit('unhandledRejection', 'a string');
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 'warn', error: 'old API' },
    { level: 'fatal', error: 'a string' },
  ]);
  expect(stops).toEqual(['a string']);
});

const real = realEtcd('3.4');
describeWith('beside a real etcd', [real], () => {
  test('its lines have the same parts in the same order', () => {
    const args = ['--logger=zap', '--heartbeat-interval=0'];
    const run = spawnSync(need(real).etcd, args, { encoding: 'utf8', timeout: 20_000 });
    const theirs = run.stderr.split('\n').find((text) => text.startsWith('{"level"'))!;
    const { log, lines } = capture({ level: 'info', format: 'json' });
    log.warn('failed to verify flags', { error: JSON.parse(theirs).error });
    const ours = lines[0]!.trimEnd();
    const constant = (line: string): string =>
      line.replace(/"ts":"[^"]*"/, '"ts"').replace(/"caller":"[^"]*"/, '"caller"');
    expect(constant(ours)).toBe(constant(theirs));
  });
});
