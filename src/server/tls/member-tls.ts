// The TLS of a member: its certificates, read from the files that the flags name, for client ports and
// peers; and what is told of connections that were refused.

import { Counter, ERROR_CODES, TetcdError } from '../../base/index.ts';
import {
  type CertificateFiles,
  type HandshakeFailure,
  loadCertificateFiles,
  type NetworkTls,
  type ServerTls,
} from '../../net/index.ts';
import type { EndpointTls, ListenUrl, ServerConfig } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';

/** The two sides of a member that have certificates of their own. */
const TLS_ENDPOINTS = { CLIENT: 'client', PEER: 'peer' } as const;
type TlsEndpoint = (typeof TLS_ENDPOINTS)[keyof typeof TLS_ENDPOINTS];

/** TLS of the ports that serve clients. */
export interface ClientPortsTls {
  readonly clients: ServerTls;
  /** As etcd has it, the names in a certificate must lead to the address here, and at client URLs not. */
  readonly metrics: ServerTls;
  readonly onHandshakeFailure: (failure: HandshakeFailure) => void;
}

/** A file that a member uses, and until when its content is valid. */
interface CertificateState {
  readonly endpoint: TlsEndpoint;
  readonly path: string;
  readonly notAfterMs: number;
}

export interface MemberTls {
  /** Undefined if no client URL is encrypted. */
  readonly clients: ClientPortsTls | undefined;
  /** Undefined if nothing between members is encrypted. */
  readonly peers: NetworkTls | undefined;
  /** Connections that were refused, or broken off, before they were served. */
  readonly rejected: Readonly<Record<TlsEndpoint, Counter>>;
  /** As they are now. */
  certificates(): readonly CertificateState[];
}

/**
 * Reads the certificates of a member. Undefined if its settings ask for no TLS at all; rejects with
 * INVALID_ARGUMENT, which names the file and what is wrong with it.
 */
export async function loadMemberTls(
  config: ServerConfig,
  log: Logger,
): Promise<MemberTls | undefined> {
  const needed = { client: servesSecurely(config), peer: linksSecurely(config) };
  if (!needed.client && !needed.peer) return undefined;
  const rejected = { client: new Counter(), peer: new Counter() };
  const told = log.child('server/tls/member-tls.ts');
  const report = (endpoint: TlsEndpoint) => (failure: HandshakeFailure) => {
    rejected[endpoint].value++;
    logRejection(told, endpoint, failure);
  };
  const peer = needed.peer ? await load(config, TLS_ENDPOINTS.PEER, told) : undefined;
  const client = needed.client ? await load(config, TLS_ENDPOINTS.CLIENT, told) : undefined;
  const checkAddress = !config.peerTls.skipsSanVerification;
  return {
    clients: client && {
      clients: client.serverTls({ checkAddress: false }),
      metrics: client.serverTls({ checkAddress: true }),
      onHandshakeFailure: report(TLS_ENDPOINTS.CLIENT),
    },
    peers: peer && {
      ...(config.peerTls.certFile === '' ? {} : { listen: peer.serverTls({ checkAddress }) }),
      connect: peer.clientTls,
      onHandshakeFailure: report(TLS_ENDPOINTS.PEER),
    },
    rejected,
    certificates: () => [
      ...statesOf(TLS_ENDPOINTS.CLIENT, client),
      ...statesOf(TLS_ENDPOINTS.PEER, peer),
    ],
  };
}

function servesSecurely(config: ServerConfig): boolean {
  return [
    ...config.listenClientUrls,
    ...config.listenClientHttpUrls,
    ...config.listenMetricsUrls,
  ].some(isSecure);
}

export function isSecure({ scheme }: Pick<ListenUrl, 'scheme'>): boolean {
  return scheme === 'https' || scheme === 'unixs';
}

/** Also a member in plaintext may be told whom to trust when it connects. */
function linksSecurely({ listenPeerUrls, peerTls }: ServerConfig): boolean {
  const { certFile, trustedCaFile } = peerTls;
  return listenPeerUrls.some(isSecure) || certFile !== '' || trustedCaFile !== '';
}

async function load(
  config: ServerConfig,
  endpoint: TlsEndpoint,
  log: Logger,
): Promise<CertificateFiles> {
  const settings = endpoint === TLS_ENDPOINTS.CLIENT ? config.clientTls : config.peerTls;
  const { cipherSuites, minVersion, maxVersion } = config.tls;
  try {
    const files = await loadCertificateFiles({
      paths: pathsOf(settings),
      requireClientCertificate: settings.clientCertAuth,
      allowedCommonNames: settings.allowedCommonNames,
      allowedHostnames: settings.allowedHostnames,
      ...{ cipherSuites, minVersion, maxVersion },
      onProblem: (error) => log.warn(`cannot use changed ${endpoint} certificate files`, { error }),
      onReload: () => log.info(`reloaded ${endpoint} certificate files`, {}),
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

/** Names of a certificate in a line of the log. */
const LOGGED_NAMES_MAX = 16;

function logRejection(log: Logger, endpoint: TlsEndpoint, failure: HandshakeFailure): void {
  const { address, serverName, certificate, error, isEof } = failure;
  log[isEof ? 'debug' : 'warn'](`rejected connection on ${endpoint} endpoint`, {
    'remote-addr': address,
    'server-name': serverName,
    'ip-addresses': certificate?.ipAddresses.slice(0, LOGGED_NAMES_MAX),
    'dns-names': certificate?.dnsNames.slice(0, LOGGED_NAMES_MAX),
    error,
  });
}

function statesOf(endpoint: TlsEndpoint, files: CertificateFiles | undefined): CertificateState[] {
  return (files?.loaded ?? []).map((state) => ({ endpoint, ...state }));
}
