// The key that JWTs are signed and verified with, from PEM files or, for HMAC, from a file of any bytes.

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { ERROR_CODES, latin1FromBytes, TetcdError } from '../../base/index.ts';

export const JWT_ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'HS256', 'HS384', 'HS512'] as const),
] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

export interface JwtKey {
  readonly algorithm: JwtAlgorithm;
  readonly verify: KeyObject | Uint8Array;
  /** Undefined: tokens are issued elsewhere, and verified here. */
  readonly sign: KeyObject | Uint8Array | undefined;
}

/** Contents of the files; empty where none is given. */
interface KeyFiles {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

interface KeyKind {
  /** As Node names it. */
  readonly type: 'rsa' | 'ec' | 'ed25519';
  /** As etcd's refusals name it. */
  readonly name: string;
  readonly curve?: string;
}

const RSA: KeyKind = { type: 'rsa', name: 'RSA' };
const KINDS: Readonly<Record<Exclude<JwtAlgorithm, `HS${string}`>, KeyKind>> = {
  ...{ RS256: RSA, RS384: RSA, RS512: RSA, PS256: RSA, PS384: RSA, PS512: RSA },
  ES256: { type: 'ec', name: 'ECDSA', curve: 'prime256v1' },
  ES384: { type: 'ec', name: 'ECDSA', curve: 'secp384r1' },
  ES512: { type: 'ec', name: 'ECDSA', curve: 'secp521r1' },
  EdDSA: { type: 'ed25519', name: 'Ed25519' },
};

/** What RFC 7518 asks for. */
const RSA_BITS_MIN = 2048;

/** INVALID_ARGUMENT with etcd's text if the files hold no such keys, or two that are no pair. */
export function jwtKeyOf(algorithm: JwtAlgorithm, files: KeyFiles): JwtKey {
  if (isHmac(algorithm)) {
    if (files.privateKey.length === 0) throw refusal('auth: missing key data');
    return { algorithm, verify: files.privateKey, sign: files.privateKey };
  }
  const kind = KINDS[algorithm];
  const sign = files.privateKey.length === 0 ? undefined : privateKeyOf(files.privateKey, kind);
  const given = files.publicKey.length === 0 ? undefined : publicKeyOf(files.publicKey, kind);
  if (sign === undefined) {
    if (given === undefined) throw refusal('auth: missing key data');
    return { algorithm, verify: given, sign };
  }
  const verify = createPublicKey(sign);
  if (given?.equals(verify) === false) throw refusal("auth: public and private keys don't match");
  return { algorithm, verify, sign };
}

function isHmac(algorithm: JwtAlgorithm): algorithm is Extract<JwtAlgorithm, `HS${string}`> {
  return algorithm.startsWith('HS');
}

function privateKeyOf(pem: Uint8Array, kind: KeyKind): KeyObject {
  assertPem(pem);
  const text = `key is not a valid ${kind.name} private key`;
  return checked(() => createPrivateKey(Buffer.from(pem)), kind, text);
}

function publicKeyOf(pem: Uint8Array, kind: KeyKind): KeyObject {
  assertPem(pem);
  const text = `key is not a valid ${kind.name} public key`;
  // Node would take a private key for its public half.
  if (latin1FromBytes(pem).includes('PRIVATE KEY-----')) throw refusal(text);
  return checked(() => createPublicKey(Buffer.from(pem)), kind, text);
}

function assertPem(pem: Uint8Array): void {
  if (latin1FromBytes(pem).includes('-----BEGIN ')) return;
  throw refusal('invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key');
}

/** What the platform says of a bad key is kept as the cause, and not shown: it may quote the file. */
function checked(parse: () => KeyObject, kind: KeyKind, text: string): KeyObject {
  let key: KeyObject;
  try {
    key = parse();
  } catch (error) {
    throw refusal(text, error);
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type !== kind.type || details?.namedCurve !== kind.curve) throw refusal(text);
  if (type === 'rsa' && (details?.modulusLength ?? 0) < RSA_BITS_MIN) {
    throw refusal(`an RSA key needs ${RSA_BITS_MIN} bits or more`);
  }
  return key;
}

function refusal(text: string, cause?: unknown): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text, { cause });
}
