// TLS settings from files: certificates, keys, authorities and revocation lists, as etcd's flags name
// them. The files are looked at for every handshake, and read again when one has changed: what is replaced
// is used by the next handshake. Content that cannot be used leaves the former one in place.

import type { X509Certificate } from 'node:crypto';
import {
  type ConnectionOptions,
  createSecureContext,
  getCiphers,
  type PeerCertificate,
  type SecureContextOptions,
  type SecureVersion,
  type TlsOptions,
} from 'node:tls';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { type CertificateSubject, chainSerialNumbers, subjectOf } from '../identity.ts';
import { hostLookup } from '../lookup.ts';
import type { ClientTls, SecuredConnection, ServerTls } from '../tls.ts';
import { AddressCheck, type NameLookup } from './address-check.ts';
import { missingSuiteProblem, opensslCiphers } from './cipher-suites.ts';
import { checkKey, issuersOf, readAuthorities, readChain } from './key-pair.ts';
import { hostnameProblem } from './names.ts';
import { type RevocationList, readRevocationList, serialKey } from './revocation-list.ts';
import { systemAuthorities } from './system-authorities.ts';
import { WatchedFiles } from './watched-files.ts';

/** Paths of PEM files, or DER for the list; undefined where there is none. */
export interface CertificatePaths {
  /** Shown to those who connect, and to those whom this side connects to unless `clientCert` is given. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Shown to those whom this side connects to. */
  readonly clientCert?: string | undefined;
  readonly clientKey?: string | undefined;
  /** Whom to trust. Without it, the authorities of the system, and no client is asked for a certificate. */
  readonly trustedCa?: string | undefined;
  readonly revocationList?: string | undefined;
}

/** Settings from files, and rules for who may connect. */
export interface CertificateFilesOptions {
  readonly paths: CertificatePaths;
  /** Whether clients must have a certificate even without `trustedCa`. Default false. */
  readonly requireClientCertificate?: boolean;
  /** Common names of which the other side must have one; empty: any. Not together with host names. */
  readonly allowedCommonNames?: readonly string[];
  /** Host names or IP addresses for one of which the other side's certificate must be; empty: any. */
  readonly allowedHostnames?: readonly string[];
  /** Accept any certificate of the server. Default false. */
  readonly insecure?: boolean;
  /** Name that a server's certificate must be for; undefined: the host connected to. */
  readonly serverName?: string | undefined;
  /** Go's names; empty: what is secure. */
  readonly cipherSuites?: readonly string[];
  /** Default TLS 1.2. */
  readonly minVersion?: SecureVersion;
  /** Default TLS 1.3. */
  readonly maxVersion?: SecureVersion;
  /** Changed files cannot be used; once per change. */
  readonly onProblem?: (error: Error) => void;
  /** Changed files are used from now on. */
  readonly onReload?: () => void;
  /** Of names in certificates; for tests. */
  readonly lookup?: NameLookup;
}

/** A certificate or a list in one of the files. */
export interface LoadedCertificate {
  readonly path: string;
  /** When it expires, or a new list is due, in milliseconds since the Unix epoch. */
  readonly notAfterMs: number;
}

interface Material {
  /** Undefined without a certificate. */
  readonly server: TlsOptions | undefined;
  readonly client: ConnectionOptions;
  readonly revoked: ReadonlySet<string>;
  readonly loaded: readonly LoadedCertificate[];
}

type Contents = ReadonlyMap<string, Uint8Array>;

export class CertificateFiles {
  readonly #options: CertificateFilesOptions;
  readonly #files: WatchedFiles;
  readonly #addresses: AddressCheck;
  #material: Material;

  /** Reads all files. Throws INVALID_ARGUMENT, which names the file and what is wrong with it. */
  constructor(options: CertificateFilesOptions) {
    this.#options = options;
    this.#addresses = new AddressCheck(options.lookup ?? hostLookup());
    const paths = Object.values(options.paths).filter((path) => path !== undefined);
    this.#files = new WatchedFiles([...new Set(paths)]);
    try {
      this.#material = this.#build(this.#files.read() ?? new Map());
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text, { cause: error });
    }
  }

  /**
   * For listeners. `checkAddress`: the names in a client's certificate must lead to its address. Throws at
   * each handshake if there is no certificate.
   */
  serverTls({ checkAddress }: { readonly checkAddress: boolean }): ServerTls {
    return {
      current: () => {
        const { server } = this.#current();
        if (server !== undefined) return server;
        throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'there is no certificate to serve with');
      },
      check: (connection) => this.#checkClient(connection, checkAddress),
    };
  }

  /** For connections to others. */
  readonly clientTls: ClientTls = { current: () => this.#current().client };

  /** What the files hold, and until when; of a chain or a list of authorities, what expires first. */
  get loaded(): readonly LoadedCertificate[] {
    return this.#current().loaded;
  }

  #current(): Material {
    try {
      const contents = this.#files.read();
      if (contents !== undefined) {
        this.#material = this.#build(contents);
        this.#options.onReload?.();
      }
    } catch (error) {
      this.#options.onProblem?.(error instanceof Error ? error : new Error(String(error)));
    }
    return this.#material;
  }

  #build(contents: Contents): Material {
    const { paths, cipherSuites = [], minVersion, maxVersion } = this.#options;
    const missing = missingSuiteProblem(cipherSuites, getCiphers());
    if (missing !== undefined) throw new Error(missing);
    const loaded: LoadedCertificate[] = [];
    const ownPair = readPair(paths.cert, paths.key, contents, loaded);
    const clientPair = readPair(paths.clientCert, paths.clientKey, contents, loaded);
    const authorities = readTrusted(paths.trustedCa, contents, loaded);
    const own = ownPair && credentialsOf(ownPair, authorities);
    const outgoing = clientPair ? credentialsOf(clientPair, authorities) : own;
    const ca = paths.trustedCa === undefined ? undefined : bufferOf(contents, paths.trustedCa);
    const list = readList(paths.revocationList, contents, loaded);
    const protocol: SecureContextOptions = {
      ciphers: opensslCiphers(cipherSuites),
      minVersion: minVersion ?? 'TLSv1.2',
      maxVersion: maxVersion ?? 'TLSv1.3',
      // As with Go, each certificate of the file is trusted by itself, its issuer there or not.
      allowPartialTrustChain: true,
    };
    return {
      server: own && this.#serverOptions({ ...protocol, ...own, ca }),
      client: this.#clientOptions({ ...protocol, ...outgoing, ca }),
      revoked: list?.serialNumbers ?? new Set(),
      loaded,
    };
  }

  #serverOptions(options: SecureContextOptions): TlsOptions {
    const { paths, requireClientCertificate = false } = this.#options;
    const asksForCertificate = requireClientCertificate || paths.trustedCa !== undefined;
    const ca = asksForCertificate ? (options.ca ?? systemAuthorities()) : undefined;
    const server = { ...options, ca };
    attempt(paths.cert!, () => createSecureContext(server));
    return { ...server, requestCert: asksForCertificate, rejectUnauthorized: asksForCertificate };
  }

  #clientOptions(options: SecureContextOptions): ConnectionOptions {
    const { paths, insecure = false, serverName } = this.#options;
    const client = { ...options, ca: options.ca ?? systemAuthorities() };
    const where = paths.clientCert ?? paths.cert ?? paths.trustedCa ?? 'TLS';
    return {
      secureContext: attempt(where, () => createSecureContext(client)),
      rejectUnauthorized: !insecure,
      ...(serverName === undefined ? {} : { servername: serverName }),
      checkServerIdentity: (host, certificate) => this.#serverProblem(host, certificate),
    };
  }

  /** In etcd's order: the names that are allowed, the address, the list. */
  #checkClient(connection: SecuredConnection, checkAddress: boolean): void | Promise<void> {
    const { requestCert } = this.#material.server ?? {};
    if (requestCert !== true) return undefined;
    const { paths } = this.#options;
    const serials = paths.revocationList === undefined ? [] : connection.serialNumbers();
    const checking = this.#checkNames(connection, checkAddress);
    if (checking === undefined) return this.#checkRevocation(serials);
    return checking.then(() => this.#checkRevocation(serials));
  }

  /**
   * OpenSSL has verified the certificate already. It is read, which takes a tenth of a millisecond, only
   * where something in it decides; then one that cannot be read counts as missing.
   */
  #checkNames(connection: SecuredConnection, checkAddress: boolean): void | Promise<void> {
    const { paths, allowedCommonNames = [], allowedHostnames = [] } = this.#options;
    const isAnyNameGood = allowedCommonNames.length + allowedHostnames.length === 0;
    if (isAnyNameGood && !checkAddress && paths.revocationList === undefined) return undefined;
    const { certificate } = connection.peer;
    if (certificate === undefined) throw new Error('tls: the certificate cannot be read');
    if (!this.#isAllowed(certificate)) throw new Error('client certificate authentication failed');
    return checkAddress ? this.#addresses.check(certificate, connection) : undefined;
  }

  #serverProblem(host: string, certificate: PeerCertificate): Error | undefined {
    const subject = subjectOf(certificate);
    if (subject === undefined) return new Error('tls: the certificate cannot be read');
    const problem = hostnameProblem(subject, host);
    if (problem !== undefined) return new Error(`tls: failed to verify certificate: ${problem}`);
    if (!this.#isAllowed(subject)) return new Error('client certificate authentication failed');
    try {
      this.#checkRevocation(chainSerialNumbers(certificate as never));
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  #isAllowed(certificate: CertificateSubject): boolean {
    const { allowedCommonNames = [], allowedHostnames = [] } = this.#options;
    if (allowedCommonNames.length > 0) {
      return allowedCommonNames.includes(certificate.commonName ?? '');
    }
    if (allowedHostnames.length === 0) return true;
    return allowedHostnames.some((host) => hostnameProblem(certificate, host) === undefined);
  }

  #checkRevocation(serials: readonly string[]): void {
    if (serials.length === 0) return;
    // Of this moment: a list that has changed during the handshake counts.
    const { revoked } = this.#current();
    const found = serials.find((serial) => revoked.has(serialKey(serial)));
    if (found === undefined) return;
    const bytes = Buffer.from(serialKey(found), 'latin1').toString('hex');
    throw new Error(`transport: certificate serial ${bytes} revoked`);
  }
}

function attempt<T>(path: string, build: () => T): T {
  try {
    return build();
  } catch (error) {
    const { reason, message } = error as Error & { reason?: unknown };
    const text = typeof reason === 'string' ? reason : message;
    throw new Error(`${path}: ${text}`, { cause: error });
  }
}

/** A file of certificates, the own one first, and its key. */
interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly chain: readonly X509Certificate[];
}

function readPair(
  cert: string | undefined,
  key: string | undefined,
  contents: Contents,
  loaded: LoadedCertificate[],
): Pair | undefined {
  if (cert === undefined || key === undefined) return undefined;
  const chain = attempt(cert, () => readChain(contents.get(cert)!));
  attempt(key, () => checkKey(contents.get(key)!, chain[0]!));
  loaded.push({ path: cert, notAfterMs: firstExpiry(chain) });
  return { cert: bufferOf(contents, cert), key: bufferOf(contents, key), chain };
}

function bufferOf(contents: Contents, path: string): Buffer {
  return Buffer.from(contents.get(path)!);
}

/**
 * For a certificate alone in its file OpenSSL looks for issuers among the trusted ones, and verifies their
 * signatures, at every handshake, and shows them. Here they are found once.
 */
function credentialsOf(
  { cert, key, chain }: Pair,
  authorities: readonly X509Certificate[],
): { readonly cert: Buffer; readonly key: Buffer } {
  if (chain.length > 1) return { cert, key };
  const shown = [...chain, ...issuersOf(chain[0]!, authorities)];
  return { cert: Buffer.from(shown.map(String).join('')), key };
}

function readTrusted(
  path: string | undefined,
  contents: Contents,
  loaded: LoadedCertificate[],
): readonly X509Certificate[] {
  if (path === undefined) return [];
  const authorities = attempt(path, () => readAuthorities(contents.get(path)!));
  loaded.push({ path, notAfterMs: firstExpiry(authorities) });
  return authorities;
}

function readList(
  path: string | undefined,
  contents: Contents,
  loaded: LoadedCertificate[],
): RevocationList | undefined {
  if (path === undefined) return undefined;
  const list = attempt(path, () => readRevocationList(contents.get(path)!));
  const { nextUpdateMs } = list;
  if (nextUpdateMs !== undefined) loaded.push({ path, notAfterMs: nextUpdateMs });
  return list;
}

function firstExpiry(certificates: readonly X509Certificate[]): number {
  return Math.min(...certificates.map(({ validTo }) => Date.parse(validTo)));
}
