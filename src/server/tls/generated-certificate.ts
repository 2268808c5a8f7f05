// Certificates of `--auto-tls` and `--peer-auto-tls`: a member makes its own and keeps them in its data
// directory, under etcd's names.
//
//     <data-dir>/fixtures/client/cert.pem, key.pem
//     <data-dir>/fixtures/peer/cert.pem, key.pem

import { resolve } from 'node:path';
import { bytesFromLatin1 } from '../../base/index.ts';
import { type Disk, type Env, OPEN_MODES } from '../../env/index.ts';
import { createSelfSigned, expiryOf } from '../../net/index.ts';
import { FirstFiles } from '../../offline/index.ts';
import type { ListenUrl } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { timestamp } from '../telemetry/log-format.ts';

const YEAR_MS = 365 * 24 * 3_600_000;
const SERIAL_NUMBER_BYTES = 16;
const FILE_PERMISSIONS = 0o600;

interface GenerationOptions {
  readonly env: Pick<Env, 'disk' | 'clock' | 'entropy'>;
  readonly log: Logger;
  /** Made if it is missing. */
  readonly directory: string;
  readonly urls: readonly Pick<ListenUrl, 'host'>[];
  readonly years: number;
}

interface GeneratedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** For a first start that fails: removes what was made for it. */
  takeBack(): Promise<void>;
}

/** The pair that is there, or a new one: if a file is missing, or the certificate has expired. */
export async function generatedCertificate(
  options: GenerationOptions,
): Promise<GeneratedCertificate> {
  const { env, log } = options;
  const directory = resolve(options.directory);
  const certFile = `${directory}/cert.pem`;
  const keyFile = `${directory}/key.pem`;
  const { disk, clock } = env;
  const made = new FirstFiles(disk);
  const paths = { certFile, keyFile };
  const isThere = (await exists(disk, certFile)) && (await exists(disk, keyFile));
  if (isThere && !(await hasExpired(disk, certFile, clock.wallMs()))) {
    return { ...paths, takeBack: async () => undefined };
  }
  if (isThere) log.warn('the generated certificate has expired', { path: certFile });
  await made.makeDirectory(directory, 0);
  const notBeforeMs = clock.wallMs();
  const notAfterMs = notBeforeMs + options.years * YEAR_MS;
  log.warn('automatically generate certificates', {
    'certificate-validity-bound-not-after': timestamp(notAfterMs),
  });
  const { cert, key } = await createSelfSigned({
    hosts: hostsOf(options.urls),
    notBeforeMs,
    notAfterMs,
    serialNumber: env.entropy.bytes(SERIAL_NUMBER_BYTES),
  });
  // A pair that is cut off in between is an expired certificate or none, and is made again.
  await writeFile(disk, keyFile, key);
  log.info('created key file', { path: keyFile });
  await writeFile(disk, certFile, cert);
  log.info('created cert file', { path: certFile });
  await disk.syncDirectory(directory);
  return {
    ...paths,
    takeBack: async () => {
      for (const path of [certFile, keyFile]) await disk.removeTree(path).catch(() => undefined);
      await made.takeBackDirectories();
    },
  };
}

async function exists(disk: Disk, path: string): Promise<boolean> {
  return (await disk.stat(path))?.kind === 'file';
}

/** What cannot be read is refused when it is to be used, by file and reason. */
async function hasExpired(disk: Disk, path: string, nowMs: number): Promise<boolean> {
  const file = await disk.open(path, OPEN_MODES.READ);
  try {
    const bytes = new Uint8Array(file.size());
    await file.read(bytes, 0);
    const notAfterMs = expiryOf(bytes);
    return notAfterMs !== undefined && notAfterMs <= nowMs;
  } finally {
    await file.close();
  }
}

/** As in etcd, the hosts that are listened on; a Unix socket is `localhost`. */
function hostsOf(urls: GenerationOptions['urls']): string[] {
  return [...new Set(urls.map(({ host }) => (host === '' ? 'localhost' : host)))];
}

async function writeFile(disk: Disk, path: string, text: string): Promise<void> {
  const fresh = `${path}.tmp`;
  await disk.removeTree(fresh);
  const file = await disk.open(fresh, OPEN_MODES.CREATE, FILE_PERMISSIONS);
  try {
    await file.write([bytesFromLatin1(text)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(fresh, path);
}
