import { expect, test } from 'vitest';
import { formatVersion, isDowngradeStep, parseTargetVersion } from './version.ts';

test.each([
  ['3.6', '3.6'],
  ['3.6.0', '3.6'],
  ['3.6.16', '3.6'],
  ['03.06.1', '3.6'],
  ['3.6.0-rc.1', '3.6'],
  ['3.6.0-rc.1+abc-d', '3.6'],
  ['3.6.0-', '3.6'],
  ['3.9223372036854775807', '3.9223372036854776000'],
  ['', undefined],
  ['3', undefined],
  ['v3.6', undefined],
  ['3.6.', undefined],
  ['3.6.0.0', undefined],
  ['3.6-rc.1', undefined],
  ['-3.6.0', undefined],
  ['+3.6.0', undefined],
  [' 3.6', undefined],
  ['3.6\n', undefined],
  ['3.6.0-rc_1', undefined],
  ['3.6.0+a+b', undefined],
  ['3.9223372036854775808', undefined],
  ['3.6.9223372036854775808', undefined],
])('the target %j is %s', (text, version) => {
  const target = parseTargetVersion(text);
  expect(target && formatVersion(target)).toBe(version);
});

test('a downgrade goes one minor version down', () => {
  const at = (major: number, minor: number) => ({ major, minor });
  expect(isDowngradeStep(at(3, 7), at(3, 6))).toBe(true);
  for (const to of [at(3, 7), at(3, 5), at(3, 8), at(2, 6), at(4, 6)]) {
    expect(isDowngradeStep(at(3, 7), to)).toBe(false);
  }
});
