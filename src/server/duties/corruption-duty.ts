// When the leader compares the members: at an interval, and never twice at once. The intervals and their
// log lines are those of etcd v3.7.1 `server/etcdserver/server.go`.

import { goDuration } from '../../base/index.ts';
import type { Env, Timer } from '../../env/index.ts';
import { formatId } from '../../membership/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { Logger } from '../telemetry/log.ts';
import type { CorruptionChecker } from './corruption-checker.ts';

export interface CorruptionDutyParts {
  readonly memberId: bigint;
  readonly config: Pick<
    ServerConfig,
    'compactHashCheckTimeMs' | 'corruptCheckTimeMs' | 'featureGates'
  >;
  readonly env: Pick<Env, 'timers'>;
  readonly log: Logger;
  readonly raft: Pick<RaftState, 'leads'>;
  readonly corruption: Pick<CorruptionChecker, 'checkCompactions' | 'checkKeys'>;
}

interface Schedule {
  /** 0: never. */
  readonly intervalMs: number;
  readonly check: () => Promise<void>;
  readonly onStart?: () => void;
  readonly stopText: string;
}

export class CorruptionDuty {
  readonly #parts: CorruptionDutyParts;
  readonly #schedule: Schedule;
  #timer: Timer | undefined;
  #stopped = false;

  private constructor(parts: CorruptionDutyParts, schedule: Schedule) {
    this.#parts = parts;
    this.#schedule = schedule;
  }

  /** Of the keys, with `--corrupt-check-time`. */
  static ofKeys(parts: CorruptionDutyParts): CorruptionDuty {
    const { config, log, memberId } = parts;
    const intervalMs = config.corruptCheckTimeMs;
    return new CorruptionDuty(parts, {
      intervalMs,
      check: () => parts.corruption.checkKeys(),
      onStart: () =>
        log.info('enabled corruption checking', {
          'local-member-id': formatId(memberId),
          interval: goDuration(intervalMs * 1e6),
        }),
      stopText: "server has stopped; stopping kv hash's monitor",
    });
  }

  /** Of what compactions kept, with the feature gate CompactHashCheck. */
  static ofCompactions(parts: CorruptionDutyParts): CorruptionDuty {
    const { compactHashCheckTimeMs, featureGates } = parts.config;
    return new CorruptionDuty(parts, {
      intervalMs: featureGates.enabled.CompactHashCheck ? compactHashCheckTimeMs : 0,
      check: () => parts.corruption.checkCompactions(),
      stopText: "server has stopped; stopping compact hash's monitor",
    });
  }

  start(): void {
    if (this.#schedule.intervalMs === 0) return;
    this.#schedule.onStart?.();
    this.#wait();
  }

  stop(): void {
    if (this.#schedule.intervalMs > 0 && this.#timer !== undefined && !this.#stopped) {
      this.#parts.log.info(this.#schedule.stopText);
    }
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #wait(): void {
    if (this.#stopped) return;
    this.#timer = this.#parts.env.timers.after(this.#schedule.intervalMs, () => {
      void this.#look().then(() => this.#wait());
    });
  }

  async #look(): Promise<void> {
    const { log, raft } = this.#parts;
    if (!raft.leads) return;
    try {
      await this.#schedule.check();
    } catch (error) {
      if (this.#stopped) return;
      log.warn('failed to check hash KV', {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
