// The TLS of a member: certificates of its client ports and of its links to peers.

import type {
  HandshakeFailure,
  LoadedCertificate,
  NetworkTls,
  ServerTls,
} from '../../net/index.ts';
import type { ListenUrl, ServerConfig } from '../config/index.ts';
import {
  type CertificatesEnv,
  EndpointCertificates,
  type TlsEndpoint,
} from './endpoint-certificates.ts';

/** TLS of the ports that serve clients. */
export interface ClientPortsTls {
  readonly clients: ServerTls;
  /** As etcd has it, the names in a certificate must lead to the address here, and at client URLs not. */
  readonly metrics: ServerTls;
  readonly onHandshakeFailure: (failure: HandshakeFailure) => void;
}

/** What is known of one side's certificates and refusals. */
interface EndpointState {
  readonly endpoint: TlsEndpoint;
  readonly rejected: { readonly value: number };
  /** The files in use, and until when their content is valid. */
  readonly loaded: readonly LoadedCertificate[];
}

export interface MemberTls {
  /** Undefined if no client URL is encrypted. */
  readonly clients: ClientPortsTls | undefined;
  /** Undefined if nothing between members is encrypted. */
  readonly peers: NetworkTls | undefined;
  readonly endpoints: readonly EndpointState[];
  /** For a start that fails: removes certificates that were made for it. */
  takeBack(): Promise<void>;
}

/**
 * Reads or makes the certificates of a member. Undefined if its settings ask for no TLS at all; rejects
 * with INVALID_ARGUMENT, which names the file and what is wrong with it.
 */
export async function loadMemberTls(
  config: ServerConfig,
  { env, log }: CertificatesEnv,
): Promise<MemberTls | undefined> {
  const parts = { env, log: log.child('server/tls/endpoint-certificates.ts') };
  const peer = linksSecurely(config)
    ? await EndpointCertificates.load(config, 'peer', parts)
    : undefined;
  try {
    const client = servesSecurely(config)
      ? await EndpointCertificates.load(config, 'client', parts)
      : undefined;
    if (client === undefined && peer === undefined) return undefined;
    const endpoints = [client, peer].filter((one) => one !== undefined);
    return {
      clients: client && clientPortsTls(config, client),
      peers: peer && networkTls(config, peer),
      endpoints,
      takeBack: async () => {
        for (const { takeBack } of endpoints) await takeBack();
      },
    };
  } catch (error) {
    await peer?.takeBack();
    throw error;
  }
}

function clientPortsTls(
  { clientTls }: ServerConfig,
  { files, onHandshakeFailure }: EndpointCertificates,
): ClientPortsTls {
  return {
    clients: files.serverTls({ checkAddress: false }),
    metrics: files.serverTls({ checkAddress: !clientTls.skipsSanVerification }),
    onHandshakeFailure,
  };
}

function networkTls({ peerTls }: ServerConfig, certificates: EndpointCertificates): NetworkTls {
  const { files, onHandshakeFailure } = certificates;
  const hasCertificate = peerTls.certFile !== '' || peerTls.generates;
  const checkAddress = !peerTls.skipsSanVerification;
  return {
    ...(hasCertificate ? { listen: files.serverTls({ checkAddress }) } : {}),
    connect: files.clientTls,
    onHandshakeFailure,
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
  const { certFile, trustedCaFile, generates } = peerTls;
  return listenPeerUrls.some(isSecure) || certFile !== '' || trustedCaFile !== '' || generates;
}
