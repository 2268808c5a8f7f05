// `/health`, `/livez` and `/readyz`, for load balancers and Kubernetes.
// Texts and orders: etcd v3.7.1 `server/etcdserver/api/etcdhttp/health.go`.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../telemetry/log.ts';
import { allowGet, respondError, respondText } from './respond.ts';
import type { Target } from './target.ts';

/** The member, as health checks use it. Rejections have the text for the prober. */
export interface HealthSource {
  /** Names of the active alarms, such as `NOSPACE`. */
  activeAlarms(): readonly string[];
  readonly hasLeader: boolean;
  readonly isLearner: boolean;
  /** A serializable read of one key. */
  serializableRead(): Promise<void>;
  /** A linearizable read of one key. */
  linearizableRead(): Promise<void>;
}

/** Counters for the metrics of the same name. */
export interface HealthMetrics {
  healthAnswered(healthy: boolean): void;
  checkAnswered(probe: string, check: string, healthy: boolean): void;
}

type Check = (source: HealthSource) => Promise<void>;

const CHECKS: Readonly<Record<string, Check>> = {
  data_corruption: async (source) => {
    if (source.activeAlarms().includes('CORRUPT')) throw new Error('alarm activated: CORRUPT');
  },
  serializable_read: (source) => source.serializableRead(),
  linearizable_read: (source) => source.linearizableRead(),
  non_learner: async (source) => {
    if (source.isLearner) throw new Error('not supported for learner');
  },
};

/** Checks of each probe, by the first part of its path. */
const PROBES: Readonly<Record<string, readonly string[]>> = {
  livez: ['serializable_read'],
  readyz: ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner'],
};

const KNOWN_ALARMS: readonly string[] = ['NOSPACE', 'CORRUPT'];

export class HealthHandler {
  readonly #source: HealthSource;
  readonly #metrics: HealthMetrics;
  readonly #log: Logger;

  constructor(source: HealthSource, metrics: HealthMetrics, log: Logger) {
    this.#source = source;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Answers if the path is a health check; else returns false. */
  handle(request: IncomingMessage, response: ServerResponse, target: Target): boolean {
    if (target.path === '/health') {
      if (allowGet(request, response)) void this.#answerHealth(response, target.query);
      return true;
    }
    const [, probe = '', check, ...rest] = target.path.split('/');
    const checks = Object.hasOwn(PROBES, probe) ? PROBES[probe] : undefined;
    if (checks === undefined || rest.length > 0) return false;
    if (check !== undefined && !checks.includes(check)) return false;
    if (!allowGet(request, response)) return true;
    void this.#answerProbe(
      response,
      target.query,
      probe,
      check === undefined ? checks : [check],
      check !== undefined,
    );
    return true;
  }

  async #answerHealth(response: ServerResponse, query: URLSearchParams): Promise<void> {
    const reason = await this.#unhealthyReason(query);
    const body = JSON.stringify({ health: reason === '' ? 'true' : 'false', reason });
    this.#metrics.healthAnswered(reason === '');
    if (reason === '') {
      respondText(response, 200, body);
      return;
    }
    this.#log.warn('/health error', { output: body, 'status-code': 503 });
    respondError(response, 503, body);
  }

  /** Empty if healthy. */
  async #unhealthyReason(query: URLSearchParams): Promise<string> {
    const excluded = query.getAll('exclude');
    const serializable = query.get('serializable') === 'true';
    const alarm = this.#source.activeAlarms().find((name) => !excluded.includes(name));
    if (alarm !== undefined) {
      return `ALARM ${KNOWN_ALARMS.includes(alarm) ? alarm : 'UNKNOWN'}`;
    }
    if (!serializable && !this.#source.hasLeader) return 'RAFT NO LEADER';
    try {
      if (serializable) await this.#source.serializableRead();
      else await this.#source.linearizableRead();
    } catch (error) {
      return `RANGE ERROR:${textOf(error)}`;
    }
    return '';
  }

  async #answerProbe(
    response: ServerResponse,
    query: URLSearchParams,
    probe: string,
    checks: readonly string[],
    single: boolean,
  ): Promise<void> {
    const excluded = single ? [] : query.getAll('exclude').filter((name) => name !== '');
    const missing = excluded.filter((name) => !checks.includes(name));
    if (missing.length > 0) {
      this.#log.warn('some health checks cannot be excluded', {
        'missing-health-checks': missing.map((name) => JSON.stringify(name)).join(','),
      });
    }
    let healthy = true;
    let lines = '';
    for (const name of checks) {
      if (excluded.includes(name)) continue;
      const failure = await this.#failureOf(name);
      this.#metrics.checkAnswered(probe, name, failure === undefined);
      if (failure === undefined) {
        lines += `[+]${name} ok\n`;
      } else {
        healthy = false;
        lines += `[-]${name} failed: ${failure}\n`;
      }
    }
    if (!healthy) {
      this.#log.error('Health check error', {
        path: `/${probe}`,
        reason: lines,
        'status-code': 503,
      });
      respondError(response, 503, lines);
      return;
    }
    response.setHeader('X-Content-Type-Options', 'nosniff');
    respondText(response, 200, `${query.has('verbose') ? lines : ''}ok\n`);
  }

  async #failureOf(name: string): Promise<string | undefined> {
    try {
      await CHECKS[name]!(this.#source);
      return undefined;
    } catch (error) {
      return textOf(error);
    }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
