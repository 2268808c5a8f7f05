// Certificates and keys from the files that flags name, checked and refused in etcdctl's words.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { TlsOptions } from '../../client/index.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import type { Io } from '../shell/io.ts';
import { readFailure } from '../shell/read-file.ts';

interface TlsFlags {
  readonly cert: string;
  readonly key: string;
  readonly cacert: string;
}

/** BAD_ARGS if a file cannot be read, or is not what its flag is for. */
export async function readTlsFiles(io: Io, flags: TlsFlags): Promise<TlsOptions> {
  const { cert, key, cacert } = flags;
  if ((cert === '') !== (key === '')) {
    throw wrong(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  }
  const own = cert === '' ? {} : await readKeyPair(io, cert, key);
  return cacert === '' ? own : { ...own, ca: await readText(io, cacert) };
}

async function readKeyPair(io: Io, cert: string, key: string): Promise<TlsOptions> {
  const pair = { cert: await readText(io, cert), key: await readText(io, key) };
  const certificate = certificateOf(pair.cert);
  const privateKey = privateKeyOf(pair.key);
  if (certificate.publicKey.asymmetricKeyType !== privateKey.asymmetricKeyType) {
    throw wrong('tls: private key type does not match public key type');
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw wrong('tls: private key does not match public key');
  }
  return pair;
}

const BLOCK = /-----BEGIN ([^-]+)-----.*?-----END \1-----/gs;

interface Block {
  readonly type: string;
  readonly pem: string;
}

function blocksOf(text: string): readonly Block[] {
  return [...text.matchAll(BLOCK)].map(([pem, type]) => ({ pem, type: type! }));
}

function certificateOf(text: string): X509Certificate {
  const blocks = blocksOf(text);
  const found = blocks.find(({ type }) => type === 'CERTIFICATE');
  if (found !== undefined) return parsed(() => new X509Certificate(found.pem));
  if (blocks.length === 0) {
    throw wrong('tls: failed to find any PEM data in certificate input');
  }
  if (blocks.length === 1 && blocks[0]!.type.endsWith('PRIVATE KEY')) {
    throw wrong(
      'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched',
    );
  }
  throw wrong(
    `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: ${listOf(blocks)}`,
  );
}

function privateKeyOf(text: string): KeyObject {
  const blocks = blocksOf(text);
  const found = blocks.find(({ type }) => /(?:^| )PRIVATE KEY$/.test(type));
  if (found !== undefined) return parsed(() => createPrivateKey(found.pem));
  if (blocks.length === 0) throw wrong('tls: failed to find any PEM data in key input');
  if (blocks.length === 1 && blocks[0]!.type === 'CERTIFICATE') {
    throw wrong('tls: found a certificate rather than a key in the PEM for the private key');
  }
  throw wrong(
    `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: ${listOf(blocks)}`,
  );
}

function listOf(blocks: readonly Block[]): string {
  return `[${blocks.map(({ type }) => type).join(' ')}]`;
}

/** What Node's parser says is for nobody; the file is damaged. */
function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw wrong(`x509: malformed: ${error instanceof Error ? error.message : error}`);
  }
}

async function readText(io: Io, path: string): Promise<string> {
  try {
    return Buffer.from(await io.readFile(path)).toString();
  } catch (error) {
    throw wrong(readFailure(path, error));
  }
}

function wrong(text: string): ExitError {
  return new ExitError(EXIT.BAD_ARGS, text);
}
