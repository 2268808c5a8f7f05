// The common name in a certificate's file.

import { X509Certificate } from 'node:crypto';
import { readFailure, readFile } from '../../shell/read-file.ts';

/** Empty if there is none. Rejects if the file cannot be read or holds no certificate. */
export async function commonNameOf(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new Error(readFailure(path, error));
  });
  const { subject } = certificateIn(path, bytes);
  return /^CN=(.*)$/m.exec(subject ?? '')?.[1] ?? '';
}

function certificateIn(path: string, bytes: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (error) {
    throw new Error(`${path}: no certificate in PEM`, { cause: error });
  }
}
