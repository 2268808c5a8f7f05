import { createHmac, sign as signBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { JWT_ALGORITHMS, type JwtAlgorithm, type JwtKey, jwtKeyOf } from './jwt-key.ts';
import { loadJwtSignatures } from './jwt-signatures.ts';
import { JwtTokens } from './jwt-tokens.ts';
import { TOKEN_CHARS_MAX, VERIFYING_TOKENS_MAX } from './limits.ts';
import { bytesOf, keysFor, loggedBy } from './tokens.fixture.ts';

const TTL_MS = 60_000;

async function make(key: JwtKey) {
  const env = createSimEnv({ seed: 1, autoRun: false });
  const { log, lines } = loggedBy(env);
  const signatures = await loadJwtSignatures();
  const tokens = new JwtTokens({ ...env, key, signatures, ttlMs: TTL_MS, log });
  return { env, lines, tokens };
}

function keyOf(algorithm: JwtAlgorithm, number = 0): JwtKey {
  return jwtKeyOf(algorithm, bytesOf(keysFor(algorithm, number)));
}

function tokenOf(tokens: JwtTokens): Promise<string> {
  expect(tokens.assign()).toBe('');
  return tokens.sign('alice', 7);
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** Signed by hand, with HMAC. */
function handmade(header: unknown, claims: unknown, secret: string, hash = 'sha256'): string {
  const text = `${part(header)}.${typeof claims === 'string' ? claims : part(claims)}`;
  return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`;
}

test.each(JWT_ALGORITHMS)(
  '%s: issued here, good here and with the public key alone',
  async (alg) => {
    const { tokens } = await make(keyOf(alg));
    const token = await tokenOf(tokens);
    expect(await tokens.info(token)).toMatchObject({ username: 'alice', authRevision: 7 });
    // Known by now.
    expect(tokens.info(token)).toMatchObject({ username: 'alice', authRevision: 7 });
    const [header, claims] = token
      .split('.')
      .map((text) => Buffer.from(text, 'base64url').toString());
    expect(header).toBe(`{"alg":"${alg}","typ":"JWT"}`);
    expect(claims).toMatch(/^\{"exp":\d+,"revision":7,"username":"alice"\}$/);

    const other = await make(keyOf(alg, 1));
    expect(await other.tokens.info(token)).toBeUndefined();
    if (alg.startsWith('HS')) return;
    const { publicKey } = bytesOf(keysFor(alg));
    const verifier = await make(jwtKeyOf(alg, { publicKey, privateKey: new Uint8Array(0) }));
    expect(await verifier.tokens.info(token)).toMatchObject({ username: 'alice' });
    expect(() => verifier.tokens.assign()).toThrow('with verify-only key');
  },
);

describe('what is not taken', () => {
  const secret = keysFor('HS256').privateKey;
  const good = { username: 'alice', revision: 7 };

  test('another algorithm than the one that was chosen', async () => {
    const { tokens } = await make(keyOf('HS256'));
    expect(await tokens.info(handmade({ alg: 'HS256' }, good, secret))).toMatchObject({
      username: 'alice',
    });
    const wrong = [
      handmade({ alg: 'HS384' }, good, secret, 'sha384'),
      handmade({ alg: 'HS512' }, good, secret, 'sha512'),
      handmade({ alg: 'none' }, good, secret),
      handmade({ alg: 'None' }, good, secret),
      handmade({}, good, secret),
      handmade({ alg: ['HS256'] }, good, secret),
      `${part({ alg: 'none' })}.${part(good)}.`,
      `${part({ alg: 'HS256' })}.${part(good)}.`,
      `${part({ alg: 'HS256' })}.${part(good)}`,
    ];
    for (const token of wrong) expect(await tokens.info(token)).toBeUndefined();
  });

  test('HMAC with the public key, where that belongs to RSA', async () => {
    const { publicKey, privateKey } = keysFor('RS256');
    const { tokens } = await make(keyOf('RS256'));
    for (const text of [publicKey, publicKey.trim()]) {
      expect(await tokens.info(handmade({ alg: 'HS256' }, good, text))).toBeUndefined();
      expect(await tokens.info(handmade({ alg: 'RS256' }, good, text))).toBeUndefined();
    }
    // Nor with a key that the token brings.
    const signed = `${part({ alg: 'RS512' })}.${part(good)}`;
    const signature = signBytes('sha512', Buffer.from(signed), privateKey).toString('base64url');
    expect(await tokens.info(`${signed}.${signature}`)).toBeUndefined();
  });

  test('claims that are not what they have to be', async () => {
    const { tokens, lines } = await make(keyOf('HS256'));
    const text = (json: string) => Buffer.from(json).toString('base64url');
    const claims: readonly unknown[] = [
      { revision: 7 },
      { username: 7, revision: 7 },
      { username: ['alice'], revision: 7 },
      { username: 'alice' },
      { username: 'alice', revision: '7' },
      { ...good, exp: '99999999999' },
      { ...good, exp: null },
      { ...good, nbf: true },
      [],
      'bm90IGpzb24',
      text('null'),
      text('"alice"'),
      text('{"__proto__":{"username":"root","revision":7}}'),
    ];
    for (const one of claims) {
      expect(await tokens.info(handmade({ alg: 'HS256' }, one, secret))).toBeUndefined();
    }
    expect(lines).toHaveLength(claims.length);
    const quoted = lines.filter((line) => /alice|not json|root/.test(line));
    expect(quoted).toEqual([]);
  });

  test('GHSA-mh63-6h87-95cp: what is too long, or cut, or other text', async () => {
    const { tokens } = await make(keyOf('HS256'));
    const long = handmade({ alg: 'HS256' }, { ...good, x: 'x'.repeat(TOKEN_CHARS_MAX) }, secret);
    const token = handmade({ alg: 'HS256' }, good, secret);
    const wrong = [long, token.slice(0, -1), `${token}a`, `${token}.`, `.${token}`, `${token}\n`];
    wrong.push('.'.repeat(TOKEN_CHARS_MAX), '.'.repeat(8_000_000), `${token.repeat(3)}`);
    wrong.push('', '.', '..', '...', 'abc.17', token.slice(1), '\u00ff'.repeat(40));
    for (const one of wrong) expect(await tokens.info(one)).toBeUndefined();
  });
});

test('CVE-2020-26160: claims that etcd does not look at change nothing', async () => {
  const { tokens } = await make(keyOf('HS256'));
  const secret = keysFor('HS256').privateKey;
  const good = { username: '__proto__', revision: 7.9 };
  for (const more of [
    {},
    { exp: 0, nbf: 0 },
    { aud: 'somebody' },
    { aud: ['a', 'b'] },
    { aud: 7 },
    { iss: {}, sub: [], iat: 'never', jti: null },
  ]) {
    const token = handmade(
      { alg: 'HS256', typ: 'anything', kid: 'k' },
      { ...good, ...more },
      secret,
    );
    expect(await tokens.info(token)).toMatchObject({ username: '__proto__', authRevision: 7 });
  }
  for (const [revision, authRevision] of [
    [1e300, Number.MAX_SAFE_INTEGER],
    [-5, 0],
  ]) {
    const token = handmade({ alg: 'HS256' }, { ...good, revision }, secret);
    expect(await tokens.info(token)).toMatchObject({ authRevision });
  }
});

test('a token is good from `nbf` until `exp`, also when it is known', async () => {
  const { env, tokens } = await make(keyOf('HS256'));
  const token = await tokenOf(tokens);
  const pass = (ms: number) =>
    env.run(() => new Promise<void>((resolve) => env.timers.after(ms, resolve)));
  const now = Math.floor(env.clock.wallMs() / 1000);
  const later = handmade(
    { alg: 'HS256' },
    { username: 'bob', revision: 1, nbf: now + 30, exp: now + 90 },
    keysFor('HS256').privateKey,
  );
  const goodOnes = async () => [await tokens.info(token), await tokens.info(later)].map(Boolean);
  expect(await goodOnes()).toEqual([true, false]);
  await pass(31_000);
  expect(await goodOnes()).toEqual([true, true]);
  await pass(30_000);
  expect(await goodOnes()).toEqual([false, true]);
  await pass(30_000);
  expect(await goodOnes()).toEqual([false, false]);
});

test('so many signatures are verified at once, and equal tokens together', async () => {
  const { tokens } = await make(keyOf('HS256'));
  const token = await tokenOf(tokens);
  const first = tokens.info(token);
  expect(tokens.info(token)).toBe(first);
  const others = Array.from({ length: VERIFYING_TOKENS_MAX }, (_, i) => tokens.info(`x.y.${i}`));
  expect(others.at(-1)).toBe('REQUEST_TOO_MANY_REQUESTS');
  expect(tokens.info(token)).toBe(first);
  await Promise.all([first, ...others]);
  expect(tokens.info(token)).toMatchObject({ username: 'alice' });
  expect(await tokens.info('x.y.z')).toBeUndefined();
});

test('7889e510b, 7cc7eaaf6: no token is logged, only which one it was', async () => {
  const { lines, tokens } = await make(keyOf('HS256'));
  const token = await tokenOf(tokens);
  await tokens.info(`${token}x`);
  await tokens.info('secret.secret.secret');
  expect(lines).toHaveLength(3);
  for (const text of [...token.split('.'), 'secret']) {
    expect(lines.filter((line) => line.includes(text))).toEqual([]);
  }
  expect(lines[0]).toMatch(/"user-name":"alice","revision":7,"token-fingerprint":"[0-9a-f]{12}"/);
});

test('bytes of a file are an HMAC key as they are', async () => {
  const privateKey = bytesFromLatin1('\u0000\u00ff\n');
  const key = jwtKeyOf('HS512', { publicKey: new Uint8Array(0), privateKey });
  const { tokens } = await make(key);
  const secret = Buffer.from(privateKey) as unknown as string;
  const token = handmade({ alg: 'HS512' }, { username: 'a', revision: 1 }, secret, 'sha512');
  expect(await tokens.info(token)).toMatchObject({ username: 'a' });
});
