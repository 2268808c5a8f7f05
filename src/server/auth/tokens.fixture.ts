// Keys and loggers for the tests of tokens.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { bytesFromLatin1 } from '../../base/index.ts';
import type { SimEnv } from '../../env/sim/index.ts';
import { createLogger, type Logger } from '../telemetry/log.ts';
import type { JwtAlgorithm } from './jwt-key.ts';

interface Pem {
  readonly publicKey: string;
  readonly privateKey: string;
}

function pemOf({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): Pem {
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

const CURVES = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' } as const;
const made = new Map<string, Pem>();

/** Keys of the kind that the algorithm takes; another pair for another `number`. */
export function keysFor(algorithm: JwtAlgorithm, number = 0): Pem {
  if (algorithm.startsWith('HS')) {
    const secret = `a secret of ${algorithm}, ${number}`;
    return { publicKey: '', privateKey: secret };
  }
  const kind = /^(?:RS|PS)/.test(algorithm) ? 'RSA' : algorithm;
  const name = `${kind}-${number}`;
  let pem = made.get(name);
  if (pem === undefined) {
    if (kind === 'RSA') pem = pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 }));
    else if (kind === 'EdDSA') pem = pemOf(generateKeyPairSync('ed25519'));
    else {
      const namedCurve = CURVES[kind as keyof typeof CURVES];
      pem = pemOf(generateKeyPairSync('ec', { namedCurve }));
    }
    made.set(name, pem);
  }
  return pem;
}

export function bytesOf({ publicKey, privateKey }: Pem) {
  return { publicKey: bytesFromLatin1(publicKey), privateKey: bytesFromLatin1(privateKey) };
}

/** A logger at debug level, and its lines. */
export function loggedBy(env: SimEnv): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const sink = { write: (line: string) => lines.push(line.trimEnd()) };
  return { log: createLogger({ level: 'debug', format: 'json' }, sink, env.clock, 'auth'), lines };
}
