// The flags of TLS: for the client ports, for the peer ports, and for both.

import { boolFlag, listFlag, stringFlag, uintFlag } from './flag-types.ts';

const group = 'security';

export const TLS_FLAGS = {
  'cert-file': stringFlag('', {
    group,
    help: 'Certificate to serve clients with: PEM, its issuers after it. Read again when it changes.',
  }),
  'key-file': stringFlag('', { group, help: 'Private key of --cert-file: PEM.' }),
  'client-cert-auth': boolFlag(false, {
    group,
    help: 'Whether clients must have a certificate. --trusted-ca-file means so, too.',
  }),
  'client-cert-file': stringFlag('', {
    group,
    help: 'Checked, and otherwise without effect: no client of the member connects to itself.',
  }),
  'client-key-file': stringFlag('', { group, help: 'Private key of --client-cert-file.' }),
  'client-crl-file': stringFlag('', {
    group,
    help: 'Revocation list: clients whose certificates it has are refused. PEM or DER.',
  }),
  'client-cert-allowed-hostname': listFlag({
    group,
    help: 'Host names for one of which the certificate of a client must be, comma separated.',
  }),
  'trusted-ca-file': stringFlag('', {
    group,
    help: 'Authorities that issue the certificates of clients: PEM.',
  }),
  'auto-tls': boolFlag(false, {
    group,
    help: 'Whether to serve clients with a certificate that the member makes, if --cert-file is not given.',
  }),
  'peer-cert-file': stringFlag('', {
    group,
    help: 'Certificate to serve other members with, and shown to them unless --peer-client-cert-file is given.',
  }),
  'peer-key-file': stringFlag('', { group, help: 'Private key of --peer-cert-file: PEM.' }),
  'peer-client-cert-auth': boolFlag(false, {
    group,
    help: 'Whether other members must have a certificate. --peer-trusted-ca-file means so, too.',
  }),
  'peer-client-cert-file': stringFlag('', {
    group,
    help: 'Certificate shown to the members that this one connects to.',
  }),
  'peer-client-key-file': stringFlag('', {
    group,
    help: 'Private key of --peer-client-cert-file.',
  }),
  'peer-trusted-ca-file': stringFlag('', {
    group,
    help: 'Authorities that issue the certificates of members: PEM.',
  }),
  'peer-cert-allowed-cn': listFlag({
    group,
    help: 'Common names of which the certificate of a member must have one, comma separated.',
  }),
  'peer-cert-allowed-hostname': listFlag({
    group,
    help: 'Host names for one of which the certificate of a member must be, comma separated.',
  }),
  'peer-crl-file': stringFlag('', {
    group,
    help: 'Revocation list: members whose certificates it has are refused. PEM or DER.',
  }),
  'peer-skip-client-san-verification': boolFlag(false, {
    group,
    help: 'Whether not to compare the names in the certificate of a member with its address.',
  }),
  'peer-auto-tls': boolFlag(false, {
    group,
    help:
      'Whether to encrypt between members with certificates that they make, which nobody verifies, ' +
      'if --peer-cert-file is not given.',
  }),
  'self-signed-cert-validity': uintFlag(1, {
    group,
    help: 'Years that such certificates are valid. They are made again at a start after that.',
  }),
  'cipher-suites': listFlag({
    group,
    help: 'Cipher suites of TLS 1.2, by the names that Go gives them, comma separated. Empty: good ones.',
  }),
  'tls-min-version': stringFlag('TLS1.2', {
    group,
    help: 'Oldest version of TLS: TLS1.2 or TLS1.3.',
  }),
  'tls-max-version': stringFlag('', {
    group,
    help: 'Newest version of TLS: TLS1.2 or TLS1.3. Empty: the newest there is.',
  }),
} as const;
