// `tetcd/env`: the effects from which everything else is built, real and replaceable.

export { ERROR_CODES, type ErrorCode, hasCode, TetcdError } from '../base/index.ts';
export {
  type ByteStream,
  type ByteStreamHandler,
  type Clock,
  createMemoryDisk,
  createNodeClock,
  createNodeDisk,
  createNodeEntropy,
  createNodeTimers,
  type DirectoryLock,
  type Disk,
  type DiskFile,
  type Entropy,
  type Env,
  type FileKind,
  type FileStat,
  type Listener,
  type Network,
  OPEN_MODES,
  type OpenMode,
  type StreamAddress,
  type Timer,
  type Timers,
} from '../env/index.ts';
export {
  type CertificateSubject,
  type ClientTls,
  createNodeEnv,
  createNodeNetwork,
  type HandshakeFailure,
  type NetworkTls,
  type PeerIdentity,
  type SecuredConnection,
  type ServerTls,
  type TlsSource,
} from '../net/index.ts';
