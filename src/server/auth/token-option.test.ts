import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createMemoryDisk, OPEN_MODES } from '../../env/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { KEY_FILE_BYTES_MAX } from './limits.ts';
import { readTokenSettings } from './token-option.ts';
import { keysFor, loggedBy } from './tokens.fixture.ts';

async function diskWith(files: Readonly<Record<string, string>>) {
  const disk = createMemoryDisk();
  for (const [path, text] of Object.entries(files)) {
    const file = await disk.open(path, OPEN_MODES.CREATE);
    await file.write([bytesFromLatin1(text)], 0);
    await file.close();
  }
  return disk;
}

const rsa = keysFor('RS256');
const small = generateKeyPairSync('rsa', {
  modulusLength: 1024,
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
});
const FILES = {
  '/rsa': rsa.privateKey,
  '/rsa.pub': rsa.publicKey,
  '/rsa2': keysFor('RS256', 1).privateKey,
  '/ec': keysFor('ES256').privateKey,
  '/ec384': keysFor('ES384').privateKey,
  '/ed': keysFor('EdDSA').privateKey,
  '/ed.pub': keysFor('EdDSA').publicKey,
  '/small': small.privateKey,
  '/cut': rsa.privateKey.slice(0, 400),
  '/text': 'no key',
  '/huge': 'x'.repeat(KEY_FILE_BYTES_MAX + 1),
};

async function outcomeOf(option: string) {
  const env = createSimEnv({ seed: 1, autoRun: false });
  const { log, lines } = loggedBy(env);
  const disk = await diskWith(FILES);
  const logged = () =>
    lines.map((line) => {
      const { level, msg, ts: _, caller: __, ...fields } = JSON.parse(line);
      return { level, msg, ...fields };
    });
  try {
    return { settings: await readTokenSettings(option, disk, log), logged: logged() };
  } catch (error) {
    return { refused: (error as Error).message, logged: logged() };
  }
}

test('what is taken', async () => {
  expect(await outcomeOf('')).toEqual({ settings: { kind: 'none' }, logged: [] });
  const warning = { level: 'warn', msg: 'simple token is not cryptographically signed' };
  for (const option of ['simple', 'simple,a=b']) {
    expect(await outcomeOf(option)).toEqual({ settings: { kind: 'simple' }, logged: [warning] });
  }
  const both = await outcomeOf('jwt,pub-key=/rsa.pub,priv-key=/rsa,sign-method=PS384,ttl=1h30m');
  expect(both.settings).toMatchObject({ kind: 'jwt', ttlMs: 5_400_000 });
  expect(both.settings).toMatchObject({ key: { algorithm: 'PS384' } });
  const verifier = await outcomeOf('jwt,sign-method=EdDSA,pub-key=/ed.pub');
  expect(verifier.settings).toMatchObject({ ttlMs: 300_000, key: { sign: undefined } });
  expect((await outcomeOf('jwt,sign-method=HS256,priv-key=/text')).settings).toBeDefined();
  const unknown = await outcomeOf('jwt,sign-method=ES256,priv-key=/ec,foo=1,bar=2');
  expect(unknown.settings).toBeDefined();
  expect(unknown.logged).toEqual([
    { level: 'warn', msg: 'unknown JWT options', keys: ['foo', 'bar'] },
  ]);
});

const OPTIONS = 'auth: invalid auth options';
const MISSING = 'auth: missing key data';
// The text at the end was real etcd's, but where the comment says otherwise.
const REFUSED: readonly (readonly [option: string, refused: string, reason?: string])[] = [
  ['foo', OPTIONS, OPTIONS],
  [',', OPTIONS],
  ['jwt,a', OPTIONS],
  ['jwt,a=b=c', OPTIONS],
  ['simple,', OPTIONS],
  ['jwt,priv-key=/rsa,priv-key=/rsa', OPTIONS],
  ['jwt', OPTIONS, 'auth: invalid auth signature method'],
  ['jwt,sign-method=XX', OPTIONS, 'auth: invalid auth signature method'],
  ['jwt,sign-method=toString', OPTIONS, 'auth: invalid auth signature method'],
  ['jwt,sign-method=RS256,priv-key=/rsa,ttl=abc', OPTIONS, 'time: invalid duration "abc"'],
  ['jwt,sign-method=RS256,priv-key=/none', OPTIONS, 'open /none: no such file or directory'],
  ['jwt,sign-method=RS256', MISSING],
  ['jwt,sign-method=HS256,pub-key=/rsa.pub', MISSING],
  [
    'jwt,sign-method=RS256,priv-key=/rsa2,pub-key=/rsa.pub',
    "auth: public and private keys don't match",
  ],
  ['jwt,sign-method=ES256,priv-key=/rsa', 'key is not a valid ECDSA private key'],
  ['jwt,sign-method=EdDSA,priv-key=/rsa', 'key is not a valid Ed25519 private key'],
  [
    'jwt,sign-method=RS256,pub-key=/text',
    'invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key',
  ],
  // Etcd says what its parser says.
  ['jwt,sign-method=RS256,priv-key=/ec', 'key is not a valid RSA private key'],
  ['jwt,sign-method=RS256,priv-key=/cut', 'key is not a valid RSA private key'],
  ['jwt,sign-method=RS256,priv-key=/rsa.pub', 'key is not a valid RSA private key'],
  ['jwt,sign-method=RS256,pub-key=/rsa', 'key is not a valid RSA public key'],
  // Etcd starts, and fails when it signs.
  ['jwt,sign-method=ES256,priv-key=/ec384', 'key is not a valid ECDSA private key'],
  // Etcd takes it; `none` is refused in other words.
  ['jwt,sign-method=RS256,priv-key=/small', 'an RSA key needs 2048 bits or more'],
  ['jwt,sign-method=none', OPTIONS, 'auth: invalid auth signature method'],
  ['jwt,sign-method=HS256,priv-key=/huge', OPTIONS],
];

const rows = REFUSED.map(([option, refused, reason]) => ({ option, refused, reason }));
test.each(rows)('--auth-token $option is refused', async ({ option, refused, reason }) => {
  const outcome = await outcomeOf(option);
  expect(outcome.refused).toBe(refused);
  if (reason !== undefined) expect(outcome.logged.at(-1)?.error).toBe(reason);
  expect(JSON.stringify(outcome)).not.toContain('BEGIN');
});
