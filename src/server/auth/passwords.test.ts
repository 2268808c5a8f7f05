import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeWith } from '../../../test/helpers/real-etcd.ts';
import { bytesFromLatin1, ERROR_CODES, TetcdError } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { createNodeEnv } from '../../net/index.ts';
import { type PasswordJob, runPasswordJob, saltOf } from './bcrypt.ts';
import { PASSWORD_JOB_MS_MAX, PASSWORD_JOBS_MAX, VERIFIED_PASSWORD_MS } from './limits.ts';
import { IMMEDIATE_PASSWORDS, type PasswordRunner, PasswordThreads } from './password-threads.ts';
import { Passwords } from './passwords.ts';
import { loggedBy } from './tokens.fixture.ts';

/** Made by Go's bcrypt. */
const HASHES: readonly (readonly [password: string, hash: string])[] = [
  ['', '$2a$04$AMgatMHadycigAzksFlBBebTX42o.O3xM1vHJdAOgviiloUgGbhrS'],
  ['root', '$2a$04$NBkm1KHyEgyj/5PCqHCz7Od2LKZ39BTXwdtKeDWO3gWyxqFj9vWD2'],
  ['pässwörd 🔑', '$2a$04$miT/Yc3T.ac82jmdMD.VhOiZIVOxwNFU6.rxtMcbT9rQ0yLcYS5Gq'],
  ['a\0b', '$2a$04$lwPIzTqgRlSdz2O0VGvr/OPu3Vi/8cM.C14Y1om69YBYgLvkfqf4a'],
  ['x'.repeat(72), '$2a$04$9aCTs34rWwzCVGuC1fdpHeeD1ucm9lsJu5ppkKhxEQsklmvJ51URK'],
];
const ROOT_HASH = HASHES[1]![1];

function verify(password: string, hash: string): string | boolean {
  return runPasswordJob({ kind: 'verify', password, hash });
}

test("hashes are those of Go's bcrypt", () => {
  for (const [password, hash] of HASHES) {
    expect(verify(password, hash)).toBe(true);
    expect(verify(`${password}!`, hash)).toBe(password.length === 72);
    expect(runPasswordJob({ kind: 'hash', password, salt: hash.slice(0, 29) })).toBe(hash);
  }
  expect(verify('a', HASHES[3]![1])).toBe(false);
  expect(saltOf(4, new Uint8Array(16).fill(0xff))).toBe('$2a$04$999999999999999999999u');
});

test('what is no hash matches nothing', () => {
  const bent = ['', 'root', ROOT_HASH.slice(0, -1), `${ROOT_HASH}a`, ROOT_HASH.replace('2a', '1a')];
  bent.push(ROOT_HASH.replace('$04$', '$99$'), ROOT_HASH.replace('$04$', '$xx$'), '\0'.repeat(60));
  expect(bent.filter((hash) => verify('root', hash) !== false)).toEqual([]);
});

/** Notes what it is asked, and answers when it is told to. */
function counting() {
  const jobs: PasswordJob[] = [];
  const runner: PasswordRunner = {
    run: async (job) => {
      jobs.push(job);
      return runPasswordJob(job);
    },
    close: () => {},
  };
  const env = createSimEnv({ seed: 1, autoRun: false });
  return { env, jobs, passwords: new Passwords({ ...env, runner, cost: 4 }) };
}

const HASH = bytesFromLatin1(ROOT_HASH);

test('a new password is hashed with a salt of its own, at the cost that was asked for', async () => {
  const { passwords } = counting();
  const texts = await Promise.all(['root', 'root'].map((password) => passwords.hash(password)));
  const hashes = texts.map((text) => Buffer.from(text, 'base64').toString());
  expect(new Set(hashes).size).toBe(2);
  for (const hash of hashes) {
    expect(hash).toMatch(/^\$2a\$04\$[./A-Za-z\d]{53}$/);
    expect(verify('root', hash)).toBe(true);
  }
  // Bytes count, not characters.
  await passwords.hash('ä'.repeat(36));
  await expect(passwords.hash('ä'.repeat(37))).rejects.toThrow(
    'bcrypt: password length exceeds 72 bytes',
  );
});

test('equal logins at the same time, and those of the next seconds, cost one computation', async () => {
  const { env, jobs, passwords } = counting();
  const login = () => passwords.verify('root', 'root', HASH);
  await env.run(async () => {
    expect(passwords.isKnown('root', 'root', HASH)).toBe(false);
    const first = await Promise.all(Array.from({ length: 1000 }, login));
    expect(new Set(first)).toEqual(new Set([true]));
    expect(passwords.isKnown('root', 'root', HASH)).toBe(true);
    for (let i = 0; i < 100; i++) expect(await login()).toBe(true);
    expect(jobs).toHaveLength(1);

    await new Promise<void>((resolve) => env.timers.after(VERIFIED_PASSWORD_MS + 1, resolve));
    expect(passwords.isKnown('root', 'root', HASH)).toBe(false);
    await login();
    expect(jobs).toHaveLength(2);
    passwords.forget();
    await login();
    expect(jobs).toHaveLength(3);
  });
});

test('only the same user with the same password and the same hash is known', async () => {
  const { jobs, passwords } = counting();
  await passwords.verify('root', 'root', HASH);
  const other = bytesFromLatin1(HASHES[0]![1]);
  expect(passwords.isKnown('root', 'roo', HASH)).toBe(false);
  expect(passwords.isKnown('roo', 'troot', HASH)).toBe(false);
  expect(passwords.isKnown('root', 'root', other)).toBe(false);
  expect(passwords.isKnown('root', 'root', undefined)).toBe(false);
  for (let i = 0; i < 2; i++) expect(await passwords.verify('root', 'wrong', HASH)).toBe(false);
  expect(jobs).toHaveLength(3);
});

test('a user that does not exist costs what another one does, and is never right', async () => {
  const { jobs, passwords } = counting();
  expect(await passwords.verify('nobody', 'root', undefined)).toBe(false);
  const [job] = jobs as [Extract<PasswordJob, { kind: 'verify' }>];
  expect(job.hash).toMatch(/^\$2a\$04\$[./A-Za-z\d]{53}$/);
  // As slow as any: bcrypt is computed for it.
  expect(runPasswordJob({ kind: 'hash', password: 'x', salt: job.hash.slice(0, 29) })).toHaveLength(
    60,
  );
});

test('what the threads refuse is the reply to the request', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  for (const [code, text] of [
    [ERROR_CODES.LIMIT_EXCEEDED, 'etcdserver: too many requests'],
    [ERROR_CODES.TIMEOUT, 'etcdserver: request timed out'],
    [ERROR_CODES.CLOSED, 'etcdserver: server stopped'],
  ] as const) {
    const runner = { run: () => Promise.reject(new TetcdError(code, '')), close: () => {} };
    const passwords = new Passwords({ ...env, runner, cost: 4 });
    await expect(passwords.hash('x')).rejects.toThrow(text);
    await expect(passwords.verify('x', 'x', HASH)).rejects.toThrow(text);
  }
});

const WORKER = new URL('../../../dist/server/auth/password-worker.js', import.meta.url);
const worker = existsSync(WORKER) ? { value: WORKER } : { missing: 'dist: run npm run build' };

describeWith('threads', [worker], () => {
  function start(count = 2, workerUrl = WORKER) {
    const { log, lines } = loggedBy(createSimEnv({ seed: 1, autoRun: false }));
    const env = createNodeEnv();
    return { lines, threads: new PasswordThreads({ ...env, log, workerUrl, count }) };
  }

  test('compute what the event loop would', async () => {
    const { lines, threads } = start();
    const jobs = HASHES.flatMap(([password, hash]): PasswordJob[] => [
      { kind: 'hash', password, salt: hash.slice(0, 29) },
      { kind: 'verify', password, hash },
      { kind: 'verify', password: 'wrong', hash },
      { kind: 'verify', password, hash: 'no hash' },
    ]);
    const results = await Promise.all(jobs.map((job) => threads.run(job)));
    expect(results).toEqual(HASHES.flatMap(([, hash]) => [hash, true, false, false]));
    expect(lines).toEqual([]);
    threads.close();
  });

  test('leave the event loop free', async () => {
    const { threads } = start(1);
    const salt = saltOf(11, new Uint8Array(16));
    let turns = 0;
    let isOver = false;
    const job = threads.run({ kind: 'hash', password: 'x', salt }).then(() => {
      isOver = true;
    });
    const { timers } = createNodeEnv();
    while (!isOver) {
      await timers.nextTurn();
      turns++;
    }
    await job;
    expect(turns).toBeGreaterThan(100);
    threads.close();
  });

  test('refuse what would wait behind too many, and everything once they are closed', async () => {
    const { threads } = start(1);
    const job: PasswordJob = { kind: 'verify', password: 'root', hash: ROOT_HASH };
    const outcomes = Array.from({ length: PASSWORD_JOBS_MAX + 3 }, () =>
      threads.run(job).catch((error: TetcdError) => error.code),
    );
    expect(await Promise.all(outcomes.slice(-2))).toEqual(['LIMIT_EXCEEDED', 'LIMIT_EXCEEDED']);
    expect(await outcomes[0]).toBe(true);
    threads.close();
    expect(await outcomes[PASSWORD_JOBS_MAX]).toBe('CLOSED');
    await expect(threads.run(job)).rejects.toThrow('the member stops');
  });

  test('keep no process alive that is over otherwise', async () => {
    const threads = new URL('./password-threads.js', WORKER);
    const program = `
      import { PasswordThreads } from '${threads}';
      const timers = { after: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return { cancel: () => clearTimeout(timer) };
      } };
      const threads = new PasswordThreads({ timers, log: console, count: 1 });
      const job = { kind: 'verify', password: 'root', hash: '${ROOT_HASH}' };
      console.log(await threads.run(job));`;
    const options = { timeout: 20_000, encoding: 'utf8' } as const;
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', program], options);
    expect(printed).toBe('true\n');
  });

  test('are ended when a job takes too long; the next one gets another', async () => {
    const { log } = loggedBy(createSimEnv({ seed: 1, autoRun: false }));
    const pending: (() => void)[] = [];
    const timers = {
      ...createNodeEnv().timers,
      after: (ms: number, callback: () => void) => {
        expect(ms).toBe(PASSWORD_JOB_MS_MAX);
        pending.push(callback);
        return { cancel: () => {} };
      },
    };
    const threads = new PasswordThreads({ timers, log, workerUrl: WORKER, count: 1 });
    const endless = threads.run({
      kind: 'hash',
      password: 'x',
      salt: saltOf(31, new Uint8Array(16)),
    });
    const next = threads.run({ kind: 'verify', password: 'root', hash: ROOT_HASH });
    pending[0]!();
    await expect(endless).rejects.toThrow('was not hashed within');
    expect(await next).toBe(true);
    threads.close();
  });

  test('without a thread the event loop does it, and the log says so', async () => {
    const { lines, threads } = start(2, new URL('./missing.js', import.meta.url));
    const salt = ROOT_HASH.slice(0, 29);
    const results = await Promise.all([
      threads.run({ kind: 'hash', password: 'root', salt }),
      threads.run({ kind: 'verify', password: 'root', hash: ROOT_HASH }),
      threads.run({ kind: 'verify', password: 'root', hash: 'no hash' }),
    ]);
    expect(results).toEqual([ROOT_HASH, true, false]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('no thread can be started to hash passwords');
    threads.close();
  });
});

test('in a simulated world nothing waits', async () => {
  expect(await IMMEDIATE_PASSWORDS.run({ kind: 'verify', password: 'root', hash: ROOT_HASH })).toBe(
    true,
  );
});
