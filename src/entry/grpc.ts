// `tetcd/grpc`: HTTP/2 and gRPC, server and client.

export { ERROR_CODES, type ErrorCode, hasCode, TetcdError } from '../base/index.ts';
export type {
  ByteStream,
  ByteStreamHandler,
  Clock,
  Entropy,
  StreamAddress,
  Timer,
  Timers,
} from '../env/index.ts';
export * from '../grpc/index.ts';
export {
  type BindOptions,
  bind,
  type CertificateSubject,
  type ClientTls,
  fixedTls,
  type HandshakeFailure,
  type Http2Acceptor,
  type ListenOptions,
  listen,
  type PeerIdentity,
  type PortListener,
  type PortServers,
  type SecuredConnection,
  type ServerTls,
  type SocketConnect,
  type SocketConnectOptions,
  SocketStream,
  type SocketStreamOptions,
  socketConnect,
  type TlsSource,
} from '../net/index.ts';
