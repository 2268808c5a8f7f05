// JSON Web Tokens of simulated members: signed in the same turn, with HMAC, so that a seed is one run.

import { createHmac, type KeyObject } from 'node:crypto';
import { type Disk, OPEN_MODES } from '../src/env/index.ts';
import type { JwtKey } from '../src/server/auth/jwt-key.ts';
import type { JwtSignatures } from '../src/server/auth/jwt-signatures.ts';

const KEY_DIRECTORY = '/etc/tetcd';
const KEY_PATH = `${KEY_DIRECTORY}/jwt.key`;
const KEY = Buffer.from('the same on all members');
/** Longer than clocks of members jump. */
export const JWT_OPTION: string = `jwt,sign-method=HS256,priv-key=${KEY_PATH},ttl=10000h`;

const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url');

export const IMMEDIATE_SIGNATURES: JwtSignatures = {
  sign: async (claims, { sign }) => {
    const text = `${HEADER}.${Buffer.from(claims).toString('base64url')}`;
    return `${text}.${macOf(text, sign)}`;
  },
  verify: async (token, { verify }) => {
    const [header, claims, signature] = token.split('.');
    if (header !== HEADER || signature !== macOf(`${header}.${claims}`, verify)) {
      throw new Error('the signature is not good');
    }
    return Buffer.from(claims!, 'base64url');
  },
};

function macOf(text: string, key: JwtKey['sign']): string {
  return createHmac('sha256', key as Uint8Array | KeyObject)
    .update(text)
    .digest('base64url');
}

/** Before a member is started: its disk may have lost it. */
export async function writeJwtKey(disk: Disk): Promise<void> {
  await disk.makeDirectory(KEY_DIRECTORY);
  const file = await disk.open(KEY_PATH, OPEN_MODES.OPEN_OR_CREATE);
  const found = new Uint8Array(KEY.length);
  if (file.readSync(found, 0) < KEY.length || !KEY.equals(found)) {
    await file.write([KEY], 0);
    await file.sync();
    await disk.syncDirectory(KEY_DIRECTORY);
  }
  await file.close();
}
