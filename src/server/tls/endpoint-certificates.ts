// The certificates of one side of a member, its client ports or its peers: from the files that the flags
// name, or made by the member; and the log lines of connections that were refused there.

import { Counter, ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import {
  type CertificateFiles,
  type HandshakeFailure,
  type LoadedCertificate,
  loadCertificateFiles,
} from '../../net/index.ts';
import type { EndpointTls, ListenUrl, ServerConfig } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { generatedCertificate } from './generated-certificate.ts';

export type TlsEndpoint = 'client' | 'peer';

export interface CertificatesEnv {
  readonly env: Pick<Env, 'disk' | 'clock' | 'entropy'>;
  readonly log: Logger;
}

export class EndpointCertificates {
  readonly endpoint: TlsEndpoint;
  readonly files: CertificateFiles;
  readonly rejected = new Counter();
  /** For a start that fails: removes what was made for it. */
  readonly takeBack: () => Promise<void>;
  readonly #log: Logger;

  /** Rejects with INVALID_ARGUMENT, which names the file and what is wrong with it. */
  static async load(
    config: ServerConfig,
    endpoint: TlsEndpoint,
    { env, log }: CertificatesEnv,
  ): Promise<EndpointCertificates> {
    const asked = endpoint === 'client' ? config.clientTls : config.peerTls;
    const pair = !asked.generates
      ? undefined
      : await generatedCertificate({
          ...{ env, log },
          directory: `${config.dataDir}/fixtures/${endpoint}`,
          urls: urlsOf(config, endpoint),
          years: config.tls.selfSignedYears,
        });
    const settings = pair === undefined ? asked : { ...asked, ...pair };
    const takeBack = pair?.takeBack ?? (async () => undefined);
    try {
      const files = await loadFiles(config, endpoint, settings, log);
      return new EndpointCertificates(endpoint, files, takeBack, log);
    } catch (error) {
      await takeBack();
      throw error;
    }
  }

  private constructor(
    endpoint: TlsEndpoint,
    files: CertificateFiles,
    takeBack: () => Promise<void>,
    log: Logger,
  ) {
    this.endpoint = endpoint;
    this.files = files;
    this.takeBack = takeBack;
    this.#log = log;
  }

  get loaded(): readonly LoadedCertificate[] {
    return this.files.loaded;
  }

  /** Counts and logs a connection that was refused. */
  readonly onHandshakeFailure = (failure: HandshakeFailure): void => {
    this.rejected.value++;
    const { address, serverName, certificate, error, isEof } = failure;
    this.#log[isEof ? 'debug' : 'warn'](`rejected connection on ${this.endpoint} endpoint`, {
      'remote-addr': address,
      'server-name': serverName,
      'ip-addresses': certificate?.ipAddresses.slice(0, LOGGED_NAMES_MAX),
      'dns-names': certificate?.dnsNames.slice(0, LOGGED_NAMES_MAX),
      error,
    });
  };
}

/** Names of a certificate in a line of the log. */
const LOGGED_NAMES_MAX = 16;

/** Those whose hosts a generated certificate is for. */
function urlsOf(config: ServerConfig, endpoint: TlsEndpoint): readonly ListenUrl[] {
  return endpoint === 'peer'
    ? config.listenPeerUrls
    : [...config.listenClientUrls, ...config.listenClientHttpUrls];
}

async function loadFiles(
  config: ServerConfig,
  endpoint: TlsEndpoint,
  settings: EndpointTls,
  log: Logger,
): Promise<CertificateFiles> {
  const { cipherSuites, minVersion, maxVersion } = config.tls;
  try {
    const files = await loadCertificateFiles({
      paths: pathsOf(settings),
      requireClientCertificate: settings.clientCertAuth,
      allowedCommonNames: settings.allowedCommonNames,
      allowedHostnames: settings.allowedHostnames,
      // Each member has a certificate of its own making, which the others cannot know.
      insecure: settings.generates,
      serverName: endpoint === 'peer' ? peerServerName(config) : undefined,
      ...{ cipherSuites, minVersion, maxVersion },
      onProblem: (error) => log.warn(`cannot use changed ${endpoint} certificate files`, { error }),
      onReload: () => log.info(`reloaded ${endpoint} certificate files`),
    });
    log.info(`starting with ${endpoint} TLS`, {
      'tls-info': infoOf(settings),
      'cipher-suites': cipherSuites,
    });
    return files;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `${endpoint} TLS: ${text}`, {
      cause: error,
    });
  }
}

/** As in etcd, members that the DNS names are all for its domain, unless their authority is known. */
function peerServerName({ srvDiscovery, peerTls }: ServerConfig): string | undefined {
  return peerTls.trustedCaFile === '' ? srvDiscovery?.domain : undefined;
}

function pathsOf(settings: EndpointTls) {
  const given = (path: string): string | undefined => (path === '' ? undefined : path);
  return {
    cert: given(settings.certFile),
    key: given(settings.keyFile),
    clientCert: given(settings.clientCertFile),
    clientKey: given(settings.clientKeyFile),
    trustedCa: given(settings.trustedCaFile),
    revocationList: given(settings.crlFile),
  };
}

/** As etcd prints it. */
function infoOf(settings: EndpointTls): string {
  return [
    `cert = ${settings.certFile}`,
    `key = ${settings.keyFile}`,
    `client-cert=${settings.clientCertFile}`,
    `client-key=${settings.clientKeyFile}`,
    `trusted-ca = ${settings.trustedCaFile}`,
    `client-cert-auth = ${settings.clientCertAuth}`,
    `crl-file = ${settings.crlFile}`,
  ].join(', ');
}
