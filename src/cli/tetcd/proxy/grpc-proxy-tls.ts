// The certificates of a gRPC proxy: towards its clients, and towards the cluster.

import { join } from 'node:path';
import type { Env } from '../../../env/index.ts';
import {
  type ClientTls,
  cipherSuiteProblem,
  loadCertificateFiles,
  type ServerTls,
} from '../../../net/index.ts';
import { generatedCertificate, type Logger } from '../../../server/index.ts';
import { commonNameOf } from './common-name.ts';
import type { GrpcProxyFlags } from './grpc-proxy-flags.ts';

const VERSIONS: Readonly<Record<string, 'TLSv1.2' | 'TLSv1.3'>> = {
  'TLS1.2': 'TLSv1.2',
  'TLS1.3': 'TLSv1.3',
};

/** Throws what etcd prints. */
export function checkTlsFlags(flags: GrpcProxyFlags): void {
  if (flags.autoTls && flags.selfSignedCertValidity === 0n) {
    throw new Error('selfSignedCertValidity is invalid,it should be greater than 0');
  }
  const min = versionOf('tls-min-version', flags.tlsMinVersion);
  const max = versionOf('tls-max-version', flags.tlsMaxVersion);
  if (min === 'TLSv1.3' && max === 'TLSv1.2') {
    const [shownMin, shownMax] = [flags.tlsMinVersion, flags.tlsMaxVersion];
    throw new Error(`min version (${shownMin}) is greater than max version (${shownMax})`);
  }
  if (min === 'TLSv1.3' && flags.listenCipherSuites.length > 0) {
    throw new Error('cipher suites cannot be configured when only TLS1.3 is enabled');
  }
  const problem = cipherSuiteProblem(flags.listenCipherSuites);
  if (problem !== undefined) throw new Error(problem);
}

function versionOf(flag: string, text: string): 'TLSv1.2' | 'TLSv1.3' | undefined {
  if (text === '') return undefined;
  const version = VERSIONS[text];
  if (version !== undefined) return version;
  const why = `unexpected TLS version "${text}" (must be one of: TLS1.2, TLS1.3)`;
  throw new Error(`${flag} is invalid: ${why}`);
}

/** Towards clients; undefined for plaintext. */
export async function listenTls(
  flags: GrpcProxyFlags,
  env: Env,
  log: Logger,
): Promise<ServerTls | undefined> {
  const { certFile, keyFile, trustedCaFile, clientCrlFile } = flags;
  const isGiven = certFile !== '' || keyFile !== '' || trustedCaFile !== '';
  if (!isGiven && !flags.autoTls) return undefined;
  const pair = isGiven ? { certFile, keyFile } : await generated(flags, env, log);
  if (pair.certFile === '' || pair.keyFile === '') {
    throw new Error(
      `KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`,
    );
  }
  const minVersion = versionOf('tls-min-version', flags.tlsMinVersion);
  const maxVersion = versionOf('tls-max-version', flags.tlsMaxVersion);
  const files = await loadCertificateFiles({
    paths: {
      cert: pair.certFile,
      key: pair.keyFile,
      trustedCa: trustedCaFile || undefined,
      revocationList: clientCrlFile || undefined,
    },
    cipherSuites: flags.listenCipherSuites,
    ...(minVersion === undefined ? {} : { minVersion }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
    onProblem: (error) => log.warn('changed certificates cannot be used', { error }),
  });
  log.info('gRPC proxy server TLS', { cert: pair.certFile, 'trusted-ca': trustedCaFile });
  return files.serverTls({ checkAddress: false });
}

async function generated(flags: GrpcProxyFlags, env: Env, log: Logger) {
  return await generatedCertificate({
    env,
    log,
    directory: join(flags.dataDir, 'fixtures', 'proxy'),
    urls: [{ host: flags.listenAddr.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1') }],
    years: Number(flags.selfSignedCertValidity),
  });
}

/** Towards the cluster; undefined if no flag asks for TLS. */
export async function clusterTls(
  flags: GrpcProxyFlags,
  log: Logger,
): Promise<ClientTls | undefined> {
  const { cert, key, cacert, insecureSkipTlsVerify } = flags;
  if (cert === '' && key === '' && cacert === '' && !insecureSkipTlsVerify) return undefined;
  if ((cert === '') !== (key === '')) {
    throw new Error(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  }
  if (insecureSkipTlsVerify) {
    log.warn('--insecure-skip-tls-verify was given: certificates of members are not verified');
  }
  if (cert !== '') {
    // Members would take every client of the proxy for the user of that name.
    const name = await commonNameOf(cert);
    if (name !== '') throw new Error(`cert has non empty Common Name (${name}): ${cert}`);
  }
  const files = await loadCertificateFiles({
    paths: {
      clientCert: cert || undefined,
      clientKey: key || undefined,
      trustedCa: cacert || undefined,
    },
    insecure: insecureSkipTlsVerify,
    onProblem: (error) => log.warn('changed certificates cannot be used', { error }),
  });
  log.info('gRPC proxy client TLS', { cert, cacert });
  return files.clientTls;
}
