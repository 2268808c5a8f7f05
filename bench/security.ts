// How the servers of a run are secured: certificates made in the run, and users.

import { readFileSync } from 'node:fs';
import { ApiClient, type ClientPem, type Message } from '../test/helpers/api.ts';
import { CertificateFiles } from '../test/helpers/certificate-files.ts';
import type { PortFiles } from '../test/helpers/member.ts';
import type { Target } from './loader/target.ts';

export interface Security {
  readonly files: PortFiles;
  readonly client: ClientPem;
  /** Authentication is on, and calls carry a token. */
  readonly hasUsers: boolean;
}

interface SecurityOptions {
  /** Clients must show certificates. */
  readonly mutual: boolean;
  /** Of the server's certificate; default ECDSA over P-256. */
  readonly keyType?: 'rsa-2048';
  readonly users?: boolean;
}

/** Of this run; made when first asked for, removed when the process ends. */
let made: CertificateFiles | undefined;

function certificates(): CertificateFiles {
  if (made === undefined) {
    const fresh = new CertificateFiles();
    process.once('exit', () => fresh.dispose());
    made = fresh;
  }
  return made;
}

export function security({ mutual, keyType, users = false }: SecurityOptions): Security {
  const files = certificates();
  const server = keyType === undefined ? files.server() : files.server({ keyType }, keyType);
  const ca = readFileSync(files.ca, 'utf8');
  if (!mutual) return { files: server, client: { ca }, hasUsers: users };
  // The user of this name may do everything once there are users.
  const client = files.client(ROOT);
  const [cert, key] = [client.cert, client.key].map((path) => readFileSync(path, 'utf8'));
  return {
    files: { ...server, clientAuthority: files.ca },
    client: { ca, cert: cert!, key: key! },
    hasUsers: users,
  };
}

const ROOT = 'root';
const passwordOf = (name: string): string => `password of ${name}`;

/** A user of the bench, and what it may do: everything with the bench's keys. */
export const LOADER: { readonly name: string; readonly password: string } = {
  name: 'loader',
  password: passwordOf('loader'),
};
/** Users without a role. */
export const OTHERS: readonly string[] = Array.from({ length: 10 }, (_, i) => `user-${i}`);
const KEYS = { key: '/', range_end: '0' } as const;

/** Where the loader's calls go. Turns authentication on first, if there are to be users. */
export async function targetOf(endpoint: string, secure: Security | undefined): Promise<Target> {
  const tls = secure?.client;
  if (secure?.hasUsers !== true) return { endpoint, tls };
  const api = new ApiClient(endpoint, tls);
  try {
    const must = (rpc: string, request: Message = {}) => api.must(`Auth/${rpc}`, request);
    await must('UserAdd', { name: ROOT, password: passwordOf(ROOT) });
    await must('RoleAdd', { name: ROOT });
    await must('UserGrantRole', { user: ROOT, role: ROOT });
    await must('UserAdd', LOADER);
    for (const name of OTHERS) await must('UserAdd', { name, password: passwordOf(name) });
    await must('RoleAdd', { name: 'loader' });
    await must('RoleGrantPermission', { name: 'loader', perm: { permType: 2, ...KEYS } });
    await must('UserGrantRole', { user: LOADER.name, role: 'loader' });
    await must('AuthEnable');
    const { token } = await must('Authenticate', LOADER);
    return { endpoint, tls, token: token as string };
  } finally {
    api.close();
  }
}
