// How JSON Web Tokens are signed, and their signatures verified: by the library, on its threads.

import { invariant } from '../../base/index.ts';
import type { JwtKey } from './jwt-key.ts';

export interface JwtSignatures {
  /** The token with these claims, which are JSON. */
  sign(claims: Uint8Array, key: JwtKey): Promise<string>;
  /** The claims; rejects if the signature is not good, or of another algorithm than the key's. */
  verify(token: string, key: JwtKey): Promise<Uint8Array>;
}

/** The library is loaded where JWTs are asked for. */
export async function loadJwtSignatures(): Promise<JwtSignatures> {
  const { CompactSign, compactVerify } = await import('jose');
  return {
    sign(claims, { algorithm, sign }) {
      invariant(sign !== undefined, 'there is a key to sign with where tokens are assigned');
      return new CompactSign(claims).setProtectedHeader({ alg: algorithm, typ: 'JWT' }).sign(sign);
    },
    async verify(token, { algorithm, verify }) {
      return (await compactVerify(token, verify, { algorithms: [algorithm] })).payload;
    },
  };
}
