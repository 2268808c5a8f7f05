// A file of bbolt, as the Go library writes them: buckets of sorted keys, transactions, snapshots.
//
//     node examples/bbolt-alone.mjs [file]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from 'tetcd/bbolt';
import { createNodeEnv } from 'tetcd/env';

const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
const decode = (/** @type {Uint8Array} */ bytes) => new TextDecoder().decode(bytes);

const [given] = process.argv.slice(2);
const directory = given === undefined ? mkdtempSync(join(tmpdir(), 'bbolt-alone-')) : undefined;
const path = given ?? join(directory ?? '', 'planets.db');

const database = await openDatabase(createNodeEnv(), path);
const writing = await database.beginWrite();
const planets = writing.createBucketIfNotExists(encode('planets'));
for (const [name, moons] of Object.entries({ mars: '2', earth: '1', neptune: '16', venus: '0' })) {
  planets.put(encode(name), encode(moons));
}
await writing.commit();

const before = database.beginRead(); // a snapshot: what is written later does not show in it
const removing = await database.beginWrite();
removing.bucket(encode('planets'))?.delete(encode('neptune'));
await removing.commit();

const after = database.beginRead();
for (const [when, snapshot] of Object.entries({ before, after })) {
  const names = [];
  const cursor = snapshot.bucket(encode('planets'))?.cursor();
  for (let found = cursor?.first(); found; found = cursor?.next()) {
    names.push(decode(cursor?.key() ?? encode('')));
  }
  console.log(`${when}: ${names.join(', ')}`);
  snapshot.close();
}
console.log('violations:', (await database.check()).length);
await database.close();
if (directory !== undefined) rmSync(directory, { recursive: true });
