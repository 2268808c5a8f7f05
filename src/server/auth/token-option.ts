// `--auth-token`: a kind of token, and for JWTs how they are signed. Refusals are etcd's texts.

import { ERROR_CODES, goQuote, hasCode, TetcdError } from '../../base/index.ts';
import { type Disk, OPEN_MODES } from '../../env/index.ts';
import { parseDurationMs } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { JWT_ALGORITHMS, type JwtAlgorithm, type JwtKey, jwtKeyOf } from './jwt-key.ts';
import { KEY_FILE_BYTES_MAX } from './limits.ts';

/** Which tokens a member issues and takes. */
type TokenSettings =
  | { readonly kind: 'none' }
  | { readonly kind: 'simple' }
  | { readonly kind: 'jwt'; readonly key: JwtKey; readonly ttlMs: number };

const DEFAULT_JWT_TTL_MS = 5 * 60_000;

const PUBLIC_KEY = 'pub-key';
const PRIVATE_KEY = 'priv-key';
const SIGN_METHOD = 'sign-method';
const TTL = 'ttl';
const JWT_OPTIONS: ReadonlySet<string> = new Set([PUBLIC_KEY, PRIVATE_KEY, SIGN_METHOD, TTL]);

const INVALID_OPTIONS = 'auth: invalid auth options';

/**
 * Reads what `--auth-token` says, and the key files that it names. Rejects with INVALID_ARGUMENT and the
 * text with which etcd refuses to start; why is logged.
 */
export async function readTokenSettings(
  option: string,
  disk: Disk,
  log: Logger,
): Promise<TokenSettings> {
  const [kind = '', ...pairs] = option.split(',');
  const options = optionsOf(pairs, option, log);
  if (kind === '') return { kind: 'none' };
  if (kind === 'simple') {
    log.warn('simple token is not cryptographically signed');
    return { kind };
  }
  if (kind === 'jwt') return { kind, ...(await readJwtSettings(options, disk, log)) };
  log.warn('unknown token type', { type: kind, error: INVALID_OPTIONS });
  throw refusal(INVALID_OPTIONS);
}

function optionsOf(
  pairs: readonly string[],
  option: string,
  log: Logger,
): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const pair of pairs) {
    const [name = '', value, ...rest] = pair.split('=');
    if (value === undefined || rest.length > 0) {
      log.error('invalid token option', { option });
      throw refusal(INVALID_OPTIONS);
    }
    if (options.has(name)) {
      log.error('invalid token option', { option, 'duplicate-parameter': name });
      throw refusal(INVALID_OPTIONS);
    }
    options.set(name, value);
  }
  return options;
}

async function readJwtSettings(
  options: ReadonlyMap<string, string>,
  disk: Disk,
  log: Logger,
): Promise<{ readonly key: JwtKey; readonly ttlMs: number }> {
  let ttlMs: number;
  let publicKey: Uint8Array;
  let privateKey: Uint8Array;
  let algorithm: JwtAlgorithm;
  try {
    ttlMs = ttlOf(options.get(TTL) ?? '');
    publicKey = await readKeyFile(options.get(PUBLIC_KEY) ?? '', disk);
    privateKey = await readKeyFile(options.get(PRIVATE_KEY) ?? '', disk);
    algorithm = algorithmOf(options.get(SIGN_METHOD) ?? '');
  } catch (error) {
    log.error('problem loading JWT options', { error: textOf(error) });
    throw refusal(INVALID_OPTIONS, error);
  }
  const unknown = [...options.keys()].filter((name) => !JWT_OPTIONS.has(name));
  if (unknown.length > 0) log.warn('unknown JWT options', { keys: unknown });
  return { key: jwtKeyOf(algorithm, { publicKey, privateKey }), ttlMs };
}

function ttlOf(text: string): number {
  if (text === '') return DEFAULT_JWT_TTL_MS;
  const parsed = parseDurationMs(text);
  if ('reason' in parsed) throw refusal(`time: invalid duration ${goQuote(text)}`);
  return parsed.value;
}

function algorithmOf(text: string): JwtAlgorithm {
  const known = JWT_ALGORITHMS.find((one) => one === text);
  if (known !== undefined) return known;
  throw refusal('auth: invalid auth signature method');
}

/** Empty where no file is named. */
async function readKeyFile(path: string, disk: Disk): Promise<Uint8Array> {
  if (path === '') return new Uint8Array(0);
  const file = await disk.open(path, OPEN_MODES.READ).catch((error: unknown) => {
    if (!hasCode(error, ERROR_CODES.NOT_FOUND)) throw error;
    throw refusal(`open ${path}: no such file or directory`, error);
  });
  try {
    const size = file.size();
    if (size > KEY_FILE_BYTES_MAX) throw refusal(`${path}: ${size} bytes are too many for a key`);
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

function refusal(text: string, cause?: unknown): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text, { cause });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
