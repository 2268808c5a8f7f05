// Cipher suites by the names that Go gives them, which are those of `--cipher-suites`.

/** OpenSSL's name of each suite of TLS 1.2 that Go knows. */
const OPENSSL_NAMES: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_3DES_EDE_CBC_SHA: 'DES-CBC3-SHA',
  TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA: 'ECDHE-RSA-DES-CBC3-SHA',
  TLS_RSA_WITH_RC4_128_SHA: 'RC4-SHA',
  TLS_ECDHE_RSA_WITH_RC4_128_SHA: 'ECDHE-RSA-RC4-SHA',
  TLS_ECDHE_ECDSA_WITH_RC4_128_SHA: 'ECDHE-ECDSA-RC4-SHA',
};

/** Suites of TLS 1.3: always all of them, since Go takes them and does not ask which. */
const TLS_1_3 = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
];

/** The suites of TLS 1.2 that nothing is known against: forward secret, authenticated encryption. */
const DEFAULT_TLS_1_2 = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
];

/** HTTP/2 needs one of them (RFC 9113 section 9.2.2). */
const HTTP2_SUITES = [
  'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
];

/** The first unknown name, as etcd's error; undefined if all are known. */
export function cipherSuiteProblem(names: readonly string[]): string | undefined {
  const unknown = names.find((name) => !TLS_1_3.includes(name) && !isKnown(name));
  return unknown && `unexpected TLS cipher suite ${JSON.stringify(unknown)}`;
}

function isKnown(name: string): boolean {
  return Object.hasOwn(OPENSSL_NAMES, name);
}

/** That one of the known names is not among what OpenSSL was built with, by its own names in lower case. */
export function missingSuiteProblem(
  names: readonly string[],
  available: readonly string[],
): string | undefined {
  const missing = names.find(
    (name) => isKnown(name) && !available.includes(OPENSSL_NAMES[name]!.toLowerCase()),
  );
  return missing && `TLS cipher suite ${JSON.stringify(missing)} is too weak for this runtime`;
}

/** Why HTTP/2 cannot be served with these suites, in Go's words; undefined if it can. */
export function http2SuiteProblem(names: readonly string[]): string | undefined {
  if (names.length === 0 || names.some((name) => HTTP2_SUITES.includes(name))) return undefined;
  return (
    'http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher ' +
    `(need at least one of ${HTTP2_SUITES.join(' or ')})`
  );
}

/** What OpenSSL calls the suites, in this order; its own choice of good ones if there are none. */
export function opensslCiphers(names: readonly string[]): string {
  const suites = names.flatMap((name) => OPENSSL_NAMES[name] ?? []);
  return [...TLS_1_3, ...(names.length === 0 ? DEFAULT_TLS_1_2 : suites)].join(':');
}
