// Start options, and callbacks buffered until the member exists.

import type { Env } from '../env/index.ts';
import type { StoreOptions } from './boot/store-opening.ts';
import type { ServerConfig } from './config/index.ts';
import type { HeapUse } from './duties/quota.ts';
import type { Member } from './member.ts';
import type { Ports } from './ports/ports.ts';
import { asError, type Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

export interface MemberOptions {
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  /** The member cannot go on and has stopped; for the program to end with an error. */
  readonly onFatal: (error: unknown) => void;
  /** This member was removed from its cluster and has stopped; for the program to end. */
  readonly onRemoved?: () => void;
  /** Use of the JavaScript heap; default: V8's own numbers. */
  readonly heapUse?: () => HeapUse;
  /** Bytes of a segment of the log; default etcd's 64,000,000. For tests. */
  readonly walSegmentSize?: number;
  /** Aborted while the member starts: it stops, and `start` rejects. */
  readonly signal?: AbortSignal;
  /** Serve clients on the listed URLs; false for a member inside a program. Default true. */
  readonly listen?: boolean;
  /** Bound already, at the addresses of `config`; `start` takes them over. Default: it binds them. */
  readonly ports?: Ports;
}

/** Callbacks that arrive before the member exists, buffered until it does. */
export interface Late {
  member?: Member;
  failure?: { readonly error: unknown };
}

/** What every backend of the member tells it, through `late` while there is no member. */
export function storeOptionsOf(
  { config, env, log }: MemberOptions,
  { records }: Metrics,
  late: Late,
): StoreOptions {
  return {
    config,
    env,
    onBackendFailure: (error) => {
      if (late.member === undefined) late.failure = { error };
      else late.member.fail(error);
    },
    onBackendDiskFull: (error) => {
      const { member } = late;
      if (member?.quota.diskFull !== true) {
        log.error('the disk is full; the backend cannot be written', { error: asError(error) });
      }
      if (member === undefined || member.isStopping) return;
      member.quota.diskFull = true;
      // At each try, until it is raised: the log needs a leader to take it, and room for it.
      member.raiseNoSpace(() => undefined);
    },
    onBackendCommit: (tookMs) => {
      const { member } = late;
      records.disk.backendCommitSeconds.observe(tookMs / 1000);
      if (member?.quota.diskFull === true) {
        member.quota.diskFull = false;
        log.info('there is room on the disk again; the backend is written');
      }
      member?.acceptCommit();
    },
  };
}
