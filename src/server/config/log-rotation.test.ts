import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, need, realEtcd } from '../../../test/helpers/real-etcd.ts';
import { DEFAULT_LOG_ROTATION, parseLogRotation } from './log-rotation.ts';

const DEFAULTS = {
  maxBytes: 100 * 1024 * 1024,
  maxAgeMs: 0,
  maxBackups: 0,
  localTime: false,
  compress: false,
};

test.each([
  [DEFAULT_LOG_ROTATION, {}],
  ['{"maxsize":1,"maxage":2,"maxbackups":3,"localtime":true,"compress":true}', null],
  ['{"MaxSize":7,"MAXAGE":-1}', { maxBytes: 7 * 1024 * 1024 }],
  ['{"maxsize":2,"maxsize":3}', { maxBytes: 3 * 1024 * 1024 }],
  ['{"maxsize":null,"compress":null,"filename":"elsewhere","other":[{"maxsize":9}]}', {}],
  [' {} ', {}],
  ['null', {}],
])('%s', (text, changed) => {
  const expected = changed ?? {
    maxBytes: 1024 * 1024,
    maxAgeMs: 2 * 86_400_000,
    maxBackups: 3,
    localTime: true,
    compress: true,
  };
  expect(parseLogRotation(text)).toEqual({ ...DEFAULTS, ...expected });
});

const REFUSED = [
  ['', 'improperly formatted log rotation config: unexpected end of JSON input'],
  ['{', 'improperly formatted log rotation config: unexpected end of JSON input'],
  [
    '{"maxsize":1} x',
    "improperly formatted log rotation config: invalid character 'x' after top-level value",
  ],
  [
    "{'maxsize':1}",
    "improperly formatted log rotation config: invalid character '\\'' looking for beginning of object key string",
  ],
  [
    '{"maxsize":1,}',
    "improperly formatted log rotation config: invalid character '}' looking for beginning of object key string",
  ],
  ...[
    ['{"maxsize": true}', 'bool', 'field', 'maxsize of type int'],
    ['{"MaxSize":"1"}', 'string', 'field', 'maxsize of type int'],
    ['{"maxage":1.5}', 'number 1.5', 'field', 'maxage of type int'],
    ['{"maxbackups":1e3}', 'number 1e3', 'field', 'maxbackups of type int'],
    [
      '{"maxsize":99999999999999999999}',
      'number 99999999999999999999',
      'field',
      'maxsize of type int',
    ],
    ['{"maxsize":{}}', 'object', 'field', 'maxsize of type int'],
    ['{"localtime":1}', 'number', 'field', 'localtime of type bool'],
    ['{"compress":[]}', 'array', 'field', 'compress of type bool'],
    ['{"filename":1}', 'number', 'field', 'filename of type string'],
    ['[]', 'array', 'value', ''],
    ['3', 'number', 'value', ''],
    ['true', 'bool', 'value', ''],
    ['"x"', 'string', 'value', ''],
  ].map(([text, kind, where, field]) => [
    text,
    `invalid log rotation config: json: cannot unmarshal ${kind} into Go ` +
      (where === 'field'
        ? `struct field logRotationConfig.Logger.${field}`
        : 'value of type embed.logRotationConfig'),
  ]),
] as [string, string][];

test.each(REFUSED)('%s is refused', (text, reason) => {
  expect(parseLogRotation(text)).toBe(reason);
});

test('a negative size is refused: etcd takes it and loses every line', () => {
  expect(parseLogRotation('{"maxsize":-1}')).toMatch('maxsize must not be negative (-1)');
});

const real = realEtcd('3.7');
describeWith('beside a real etcd', [real], () => {
  test.each(REFUSED)('%s is refused in the same words', (text, reason) => {
    const directory = mkdtempSync(join(tmpdir(), 'tetcd-rotation-'));
    const flags = ['--enable-log-rotation', '--log-outputs=a.log'];
    const run = spawnSync(need(real).etcd, [...flags, `--log-rotation-config-json=${text}`], {
      encoding: 'utf8',
      cwd: directory,
      timeout: 20_000,
      env: { PATH: process.env['PATH'] ?? '' },
    });
    rmSync(directory, { recursive: true });
    expect(run.status).toBe(1);
    expect(JSON.parse(run.stderr.trimEnd().split('\n').at(-1)!)).toMatchObject({ error: reason });
  });
});
