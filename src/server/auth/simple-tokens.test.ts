import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import { TOKEN_CHARS_MAX, TOKEN_SWEEP_MS, USER_TOKENS_MAX } from './limits.ts';
import { SimpleTokens } from './simple-tokens.ts';

const TTL_MS = 10_000;

function make() {
  const env = createSimEnv({ seed: 1, autoRun: false });
  const tokens = new SimpleTokens({ ...env, ttlMs: TTL_MS });
  tokens.enable();
  return { env, tokens };
}

/** Whose token has this index. */
function loginOf(username: string, index: number, prefix = 'abcdefghijklmnop') {
  return { username, index: index + 1, prefix };
}

const pass = (env: ReturnType<typeof createSimEnv>, ms: number) =>
  env.run(() => new Promise<void>((resolve) => env.timers.after(ms, resolve)));

test('a token is what the log says: letters and the index of the entry', async () => {
  const { tokens } = make();
  const prefixes = Array.from({ length: 500 }, () => tokens.newPrefix());
  for (const prefix of prefixes) expect(prefix).toMatch(/^[a-zA-Z]{16}$/);
  expect(new Set(prefixes).size).toBe(prefixes.length);
  // Every letter comes, and about as often as any other.
  const counts = new Map<string, number>();
  for (const letter of prefixes.join('')) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  expect(counts.size).toBe(52);
  expect(Math.min(...counts.values())).toBeGreaterThan(90);
  expect(Math.max(...counts.values())).toBeLessThan(230);

  // Of entry 18: etcd names the index before it.
  const login = { username: 'root', prefix: 'abcdefghijklmnop', index: 18 };
  expect(tokens.assign(login)).toBe('abcdefghijklmnop.17');
  expect(tokens.entryOf('abcdefghijklmnop.17')).toBe(18);
  expect(tokens.info('abcdefghijklmnop.17')).toEqual({ username: 'root', authRevision: undefined });
});

test('what is not exactly a token is none', () => {
  const { tokens } = make();
  tokens.assign(loginOf('root', 17));
  const near = ['', '.', '.17', 'abcdefghijklmnop', 'abcdefghijklmnop.', 'abcdefghijklmnop.18'];
  near.push('abcdefghijklmnoq.17', 'abcdefghijklmnop.017', 'abcdefghijklmnop.17.', 'x.y.17');
  near.push('abcdefghijklmnop.+17', 'abcdefghijklmnop.1e1', 'abcdefghijklmnop.17 ', '\u0161.17');
  near.push('bcdefghijklmnop.17', 'aabcdefghijklmnop.17', `${'a'.repeat(TOKEN_CHARS_MAX)}.17`);
  expect(near.filter((token) => tokens.info(token) !== undefined)).toEqual([]);
});

test('only what has the form of a token waits for an entry', () => {
  const { tokens } = make();
  expect(tokens.entryOf('abc.9007199254740991')).toBe(2 ** 53);
  expect(tokens.entryOf('abc.0')).toBe(1);
  const none = ['abc.9007199254740992', 'abc.18446744073709551615', 'abc', 'a.b.3', 'abc.-3', ''];
  expect(none.map((token) => tokens.entryOf(token))).toEqual(none.map(() => undefined));
});

test('a token lives for its time after its last use', async () => {
  const { env, tokens } = make();
  tokens.assign(loginOf('root', 1));
  tokens.assign(loginOf('root', 2));
  for (let i = 0; i < 5; i++) {
    await pass(env, TTL_MS - 1);
    expect(tokens.info('abcdefghijklmnop.1')?.username).toBe('root');
  }
  expect(tokens.info('abcdefghijklmnop.2')).toBeUndefined();
  await pass(env, TTL_MS + 1);
  expect(tokens.info('abcdefghijklmnop.1')).toBeUndefined();
  await pass(env, TOKEN_SWEEP_MS);
  expect(tokens.size).toBe(0);
});

test('a user loses all tokens, others keep theirs; names are only names', () => {
  const { tokens } = make();
  const users = ['root', '__proto__', 'constructor', ''];
  for (const [i, user] of users.entries()) {
    tokens.assign(loginOf(user, 2 * i + 1));
    tokens.assign(loginOf(user, 2 * i + 2));
  }
  tokens.invalidateUser('__proto__');
  tokens.invalidateUser('toString');
  const known = users.map((_, i) => [2 * i + 1, 2 * i + 2].map((n) => whose(tokens, n)));
  expect(known).toEqual(users.map((user) => (user === '__proto__' ? NOBODY : [user, user])));
});

const NOBODY = [undefined, undefined];
const whose = (tokens: SimpleTokens, index: number) =>
  tokens.info(`abcdefghijklmnop.${index}`)?.username;

test('when authentication is turned off, all tokens go', () => {
  const { tokens } = make();
  tokens.assign(loginOf('root', 1));
  tokens.enable();
  expect(whose(tokens, 1)).toBe('root');
  tokens.disable();
  tokens.enable();
  expect([whose(tokens, 1), tokens.size]).toEqual([undefined, 0]);
  tokens.assign(loginOf('root', 3));
  expect(whose(tokens, 3)).toBe('root');
});

test('one user has so many tokens at most, and costs nobody else one', () => {
  const { tokens } = make();
  tokens.assign(loginOf('quiet', 1));
  for (let i = 2; i < USER_TOKENS_MAX + 4; i++) tokens.assign(loginOf('loud', i));
  expect(tokens.size).toBe(USER_TOKENS_MAX + 1);
  expect([1, 2, 3, 4].map((index) => whose(tokens, index))).toEqual([
    'quiet',
    undefined,
    undefined,
    'loud',
  ]);
});
