// The only code that touches sockets: byte streams over plain and TLS sockets, a port that detects
// protocols, and the identity of peers.

export type {
  CertificateFiles,
  CertificateFilesOptions,
  LoadedCertificate,
} from './certificates/certificate-files.ts';
export { cipherSuiteProblem, http2SuiteProblem } from './certificates/cipher-suites.ts';
export { expiryOf } from './certificates/key-pair.ts';
export { loadCertificateFiles } from './certificates/load.ts';
export { createSelfSigned } from './certificates/self-signed.ts';
export { type ClientTlsSettings, clientTls, type Pem } from './client-tls.ts';
export { type SocketConnect, type SocketConnectOptions, socketConnect } from './connect.ts';
export type { HandshakeFailure } from './handshake-failure.ts';
export { type CertificateSubject, identityOf, type PeerIdentity } from './identity.ts';
export {
  type BindOptions,
  bind,
  type Http2Acceptor,
  type ListenOptions,
  listen,
  type PortListener,
  type PortServers,
} from './listener.ts';
export { createNodeEnv } from './node-env.ts';
export { createNodeNetwork, type NetworkTls, type SocketSettings } from './node-network.ts';
export { resolveService } from './service-lookup.ts';
export { SocketStream, type SocketStreamOptions } from './socket-stream.ts';
export {
  type ClientTls,
  fixedTls,
  type SecuredConnection,
  type ServerTls,
  type TlsSource,
} from './tls.ts';
