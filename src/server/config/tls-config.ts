// What the flags of TLS say together. The texts of refusals are etcd's.

import { goQuote } from '../../base/index.ts';
import { cipherSuiteProblem, http2SuiteProblem } from '../../net/index.ts';
import type { FlagValues } from './flags.ts';
import type { LogNote } from './log-note.ts';
import type { EndpointTls, ServerConfig, TlsVersion } from './server-config.ts';
import type { ParsedUrl } from './urls.ts';

type TlsParts = Pick<ServerConfig, 'clientTls' | 'peerTls' | 'tls'>;

export function assembleTls(values: FlagValues): TlsParts {
  const [min, max] = versions(values);
  return {
    clientTls: {
      certFile: values['cert-file'],
      keyFile: values['key-file'],
      clientCertFile: values['client-cert-file'],
      clientKeyFile: values['client-key-file'],
      clientCertAuth: values['client-cert-auth'],
      trustedCaFile: values['trusted-ca-file'],
      crlFile: values['client-crl-file'],
      allowedCommonNames: values['client-transport-security.allowed-cn'],
      allowedHostnames: values['client-cert-allowed-hostname'],
      generates: values['auto-tls'] && values['cert-file'] === '' && values['key-file'] === '',
      skipsSanVerification: values['client-transport-security.skip-client-san-verification'],
    },
    peerTls: {
      certFile: values['peer-cert-file'],
      keyFile: values['peer-key-file'],
      clientCertFile: values['peer-client-cert-file'],
      clientKeyFile: values['peer-client-key-file'],
      clientCertAuth: values['peer-client-cert-auth'],
      trustedCaFile: values['peer-trusted-ca-file'],
      crlFile: values['peer-crl-file'],
      allowedCommonNames: values['peer-cert-allowed-cn'],
      allowedHostnames: values['peer-cert-allowed-hostname'],
      generates:
        values['peer-auto-tls'] &&
        values['peer-cert-file'] === '' &&
        values['peer-key-file'] === '',
      skipsSanVerification: values['peer-skip-client-san-verification'],
    },
    tls: {
      cipherSuites: values['cipher-suites'],
      minVersion: min ?? 'TLSv1.2',
      maxVersion: max ?? 'TLSv1.3',
      selfSignedYears: values['self-signed-cert-validity'],
    },
  };
}

/** Why the flags of TLS cannot be used together, or with the URLs; undefined if they can. */
export function tlsProblem(values: FlagValues): string | undefined {
  const parts = assembleTls(values);
  return (
    versionProblem(values) ??
    cipherSuiteProblem(values['cipher-suites']) ??
    peerProblem(values, parts.peerTls) ??
    clientProblem(values, parts.clientTls)
  );
}

const VERSIONS: ReadonlyMap<string, TlsVersion | undefined> = new Map([
  ['', undefined],
  ['TLS1.2', 'TLSv1.2'],
  ['TLS1.3', 'TLSv1.3'],
]);

function versions(values: FlagValues): (TlsVersion | undefined)[] {
  return [values['tls-min-version'], values['tls-max-version']].map((text) => VERSIONS.get(text));
}

function versionProblem(values: FlagValues): string | undefined {
  const texts = [values['tls-min-version'], values['tls-max-version']];
  const unknown = texts.find((text) => !VERSIONS.has(text));
  if (unknown !== undefined) {
    return `unexpected TLS version ${goQuote(unknown)} (must be one of: TLS1.2, TLS1.3)`;
  }
  const [min, max] = versions(values);
  if (min === 'TLSv1.3' && max === 'TLSv1.2') {
    return `min version (${texts[0]}) is greater than max version (${texts[1]})`;
  }
  if (min === 'TLSv1.3' && values['cipher-suites'].length > 0) {
    return 'cipher suites cannot be configured when only TLS1.3 is enabled';
  }
  return undefined;
}

function peerProblem(values: FlagValues, tls: EndpointTls): string | undefined {
  if (tls.generates) return generationProblem(values) ?? lonelyProblem(tls);
  const secure = values['listen-peer-urls'].find(isSecure);
  if (isWithoutPair(tls)) {
    if (secure === undefined) return undefined;
    const where = secure.path || `${secure.host}:${secure.port}`;
    return `cannot listen on TLS for ${where}: KeyFile and CertFile are not presented`;
  }
  return pairProblem(tls);
}

/** As in etcd, the files are no matter while nothing of the client ports is encrypted. */
function clientProblem(values: FlagValues, tls: EndpointTls): string | undefined {
  const served = [...values['listen-client-urls'], ...values['listen-client-http-urls']];
  const secure = served.find(isSecure);
  const secureMetrics = values['listen-metrics-urls'].find(isSecure);
  if (tls.generates) return generationProblem(values);
  if (isWithoutPair(tls)) {
    if (secure !== undefined) {
      return (
        'TLS key/cert (--cert-file, --key-file) must be provided for client url ' +
        `${secure.text} with HTTPS scheme`
      );
    }
    if (secureMetrics === undefined) return undefined;
    return 'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url';
  }
  if (secure === undefined && secureMetrics === undefined) return undefined;
  const http2 = secure && http2SuiteProblem(values['cipher-suites']);
  return pairProblem(tls) ?? http2;
}

function generationProblem(values: FlagValues): string | undefined {
  if (values['self-signed-cert-validity'] > 0) return undefined;
  return 'selfSignedCertValidity is invalid,it should be greater than 0';
}

/** etcd ignores these flags then, and so lets in the clients that they exclude. */
function lonelyProblem(tls: EndpointTls): string | undefined {
  const { clientCertAuth, trustedCaFile, crlFile, allowedCommonNames, allowedHostnames } = tls;
  const asks =
    clientCertAuth ||
    trustedCaFile !== '' ||
    crlFile !== '' ||
    allowedCommonNames.length > 0 ||
    allowedHostnames.length > 0;
  if (!asks) return undefined;
  return (
    '--peer-auto-tls makes certificates that no authority has issued: ' +
    'it cannot be used with flags that ask members for certificates'
  );
}

function pairProblem(tls: EndpointTls): string | undefined {
  const { certFile, keyFile, clientCertFile, clientKeyFile } = tls;
  if (certFile === '' || keyFile === '') {
    return `KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`;
  }
  if ((clientCertFile === '') !== (clientKeyFile === '')) {
    return (
      'ClientKeyFile and ClientCertFile must both be present or both absent: ' +
      `key: ${clientKeyFile}, cert: ${clientCertFile}]`
    );
  }
  const { allowedCommonNames, allowedHostnames } = tls;
  if (allowedCommonNames.length > 0 && allowedHostnames.length > 0) {
    return (
      'AllowedCNs and AllowedHostnames are mutually exclusive ' +
      `(cns=${listed(allowedCommonNames)}, hostnames=${listed(allowedHostnames)})`
    );
  }
  return undefined;
}

function listed(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(' ')}]`;
}

function isWithoutPair({ certFile, keyFile }: EndpointTls): boolean {
  return certFile === '' && keyFile === '';
}

function isSecure({ scheme }: ParsedUrl): boolean {
  return scheme === 'https' || scheme === 'unixs';
}

/** Warnings: URLs in plaintext beside settings of TLS. */
export function tlsNotes(values: FlagValues): LogNote[] {
  const { clientTls, peerTls } = assembleTls(values);
  const served = [...values['listen-client-urls'], ...values['listen-client-http-urls']];
  const ignored = [
    ...(values['peer-auto-tls'] && !peerTls.generates ? ['peer'] : []),
    ...(values['auto-tls'] && !clientTls.generates ? ['client'] : []),
  ];
  const plainPeers = values['listen-peer-urls'].filter(({ scheme }) => scheme === 'http');
  return [
    ...ignored.map(
      (side): LogNote => ({
        level: 'warn',
        msg: `ignoring ${side} auto TLS since certs given`,
        fields: {},
      }),
    ),
    ...plainPeers.flatMap((url) =>
      plaintextNotes(peerTls, 'scheme is HTTP', {
        field: { 'peer-url': url.text },
        flag: '--peer-client-cert-auth',
      }),
    ),
    ...served
      .filter((url) => !isSecure(url))
      .flatMap((url) =>
        plaintextNotes(clientTls, 'scheme is http or unix', {
          field: { 'client-url': url.text },
          flag: '--client-cert-auth',
        }),
      ),
  ];
}

function plaintextNotes(
  tls: EndpointTls,
  scheme: string,
  { field, flag }: { readonly field: LogNote['fields']; readonly flag: string },
): LogNote[] {
  const notes: LogNote[] = [];
  if (!isWithoutPair(tls)) {
    const msg = `${scheme} while key and cert files are present; ignoring key and cert files`;
    notes.push({ level: 'warn', msg, fields: field });
  }
  if (tls.clientCertAuth) {
    const msg = `${scheme} while ${flag} is enabled; ignoring client cert auth for this URL`;
    notes.push({ level: 'warn', msg, fields: field });
  }
  return notes;
}
