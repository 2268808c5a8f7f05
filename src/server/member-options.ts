// Options of `Member.start`.

import type { ByteStream, Env, MemoryLock, ProcessMemory } from '../env/index.ts';
import type { JwtSignatures } from './auth/jwt-signatures.ts';
import type { PasswordRunner } from './auth/password-threads.ts';
import type { ServerConfig } from './config/index.ts';
import type { HeapUse } from './duties/quota.ts';
import type { Ports } from './ports/ports.ts';
import type { Logger } from './telemetry/log.ts';
import type { MemberTls } from './tls/member-tls.ts';

export interface MemberOptions {
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  /** Called when a failure has stopped the member. */
  readonly onFatal: (error: unknown) => void;
  /** Called when the member was removed from its cluster and has stopped. */
  readonly onRemoved?: () => void;
  /** Use of the JavaScript heap; default: V8's own numbers. */
  readonly heapUse?: () => HeapUse;
  /** Computes bcrypt; default: threads of this process. Ended with the member. */
  readonly passwordRunner?: PasswordRunner;
  /** Signs JWTs and verifies them; default: a library, on threads of this process. */
  readonly jwtSignatures?: JwtSignatures;
  /** Bytes of a segment of the log; default etcd's 64,000,000. For tests. */
  readonly walSegmentSize?: number;
  /** Aborting it during the start stops the member; `start` then rejects. */
  readonly signal?: AbortSignal;
  /** Serve clients on the listed URLs; false for a member inside a program. Default true. */
  readonly listen?: boolean;
  /** Its certificates; needed where a URL of `config` is encrypted. `env.network` has those for peers. */
  readonly tls?: MemberTls | undefined;
  /** Takes the place of each connection of a gRPC client, to see the bytes that pass. */
  readonly traceStream?: ((stream: ByteStream) => ByteStream) | undefined;
  /** Keeps the database file in memory; closed with the member. Default: nothing does. */
  readonly memoryLock?: MemoryLock | undefined;
  /** Memory of the process, given back when a load is over. Default: it is not. */
  readonly processMemory?: ProcessMemory;
  /** Ports bound at the addresses of `config`, which `start` owns. Default: it binds them. */
  readonly ports?: Ports;
}
