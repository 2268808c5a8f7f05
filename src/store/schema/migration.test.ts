import { expect, test } from 'vitest';
import { bytesFromUtf8, utf8FromBytes } from '../../base/index.ts';
import { formatVersion, parseVersion } from '../../membership/index.ts';
import {
  checkStorageVersion,
  isMigrated,
  migrateStorage,
  planMigration,
  readStorageVersion,
} from './migration.ts';
import { BUCKET, META_KEY } from './schema.ts';

/** A database that holds nothing but, perhaps, a storage version. */
class OneKey {
  text: string | undefined;

  constructor(text?: string) {
    this.text = text;
  }

  get(bucket: number, key: string): Uint8Array | undefined {
    expect([bucket, key]).toEqual([BUCKET.META, META_KEY.STORAGE_VERSION]);
    return this.text === undefined ? undefined : bytesFromUtf8(this.text);
  }

  set(bucket: number, key: string, value: Uint8Array | undefined): void {
    expect([bucket, key]).toEqual([BUCKET.META, META_KEY.STORAGE_VERSION]);
    this.text = value && utf8FromBytes(value);
  }
}

const at = (text: string) => parseVersion(text)!;

test.each([
  [undefined, '3.5', undefined, []],
  [undefined, '3.6', '3.6.0', ['3.6']],
  [undefined, '3.7', '3.7.0', ['3.6', '3.7']],
  ['3.6.0', '3.7', '3.7.0', ['3.7']],
  ['3.7.0', '3.7', '3.7.0', []],
  ['3.7.0', '3.6', '3.6.0', ['3.6']],
  ['3.7.0', '3.5', undefined, ['3.6', '3.5']],
  ['3.6.0', '3.5', undefined, ['3.5']],
])('from %s to %s', (before, target, after, steps) => {
  const backend = new OneKey(before);
  const seen: string[] = [];
  migrateStorage(backend, at(target), { onStep: (step) => seen.push(formatVersion(step)) });
  expect(backend.text).toBe(after);
  expect(seen).toEqual(steps);
  expect(isMigrated(backend, at(target))).toBe(true);
});

test.each([
  ['3.7', '3.8', 'version "3.8.0" is not supported'],
  ['3.9', '3.7', 'version "3.9.0" is not supported'],
  ['3.4', '3.7', 'version "3.5.0" is not supported'],
  ['3.7', '3.4', 'version "3.5.0" is not supported'],
  ['4.7', '3.7', 'changing major storage version is not supported'],
])('from %s to %s there is no way', (current, target, text) => {
  expect(() => planMigration(at(current), at(target))).toThrow(text);
  const backend = new OneKey(`${current}.0`);
  expect(() => migrateStorage(backend, at(target), { onStep: () => {} })).toThrow(text);
  expect(backend.text).toBe(`${current}.0`);
});

test.each([undefined, '3.5.0', '3.6.0', '3.7.0'])('a database of %s is served', (text) => {
  expect(() => checkStorageVersion(new OneKey(text))).not.toThrow();
});

test.each([
  ['3.8.0', /storage version 3\.8\.0: version "3\.8\.0" is not supported/],
  ['3.11.0', /storage version 3\.11\.0: version "3\.11\.0" is not supported/],
  ['3.4.0', /storage version 3\.4\.0: version "3\.5\.0" is not supported/],
  ['4.0.0', /storage version 4\.0\.0: changing major storage version is not supported/],
  ['', /storageVersion of the database is ""/],
  ['3.7', /storageVersion of the database is "3\.7"/],
  ['new', /storageVersion of the database is "new"/],
])('a database of %j is refused', (text, refusal) => {
  expect(() => checkStorageVersion(new OneKey(text))).toThrow(refusal);
});

test('up to 3.5 a database that names no version is as it should be', () => {
  expect(readStorageVersion(new OneKey())).toBeUndefined();
  for (const version of ['3.4', '3.5']) expect(isMigrated(new OneKey(), at(version))).toBe(true);
  for (const version of ['3.6', '3.7']) expect(isMigrated(new OneKey(), at(version))).toBe(false);
  expect(isMigrated(new OneKey('3.7.0'), at('3.6'))).toBe(false);
});
