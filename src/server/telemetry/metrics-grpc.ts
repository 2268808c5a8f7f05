// The counters of every gRPC method, one plain object each. The families and their labels are those
// of the middleware that etcd uses.

import { Counter, Histogram, invariant } from '../../base/index.ts';
import { STATUS, STATUS_COUNT } from '../../grpc/index.ts';
import type { MethodKind } from '../../rpc/index.ts';

export const GRPC_HANDLING_BOUNDS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Services that etcd registers before its middleware sets up the counters of all methods. */
const PREINITIALIZED: ReadonlySet<string> = new Set([
  'etcdserverpb.KV',
  'etcdserverpb.Watch',
  'etcdserverpb.Lease',
  'etcdserverpb.Cluster',
  'etcdserverpb.Auth',
  'etcdserverpb.Maintenance',
  'grpc.health.v1.Health',
]);

/** Counters of one method, incremented by the code that serves calls. */
export class GrpcMethodMetrics {
  /** Such as `etcdserverpb.KV`. */
  readonly service: string;
  readonly method: string;
  readonly type: MethodKind;
  readonly started = new Counter();
  readonly received = new Counter();
  readonly sent = new Counter();
  /** Calls ended, by status number. */
  readonly handled = new Float64Array(STATUS_COUNT);
  /** As in etcd, a method of another service is shown once it was called. */
  readonly shownFromStart: boolean;
  /** Seconds from start to end; only with `--metrics=extensive`. */
  readonly handlingSeconds: Histogram | undefined;

  constructor(service: string, method: string, type: MethodKind, extensive: boolean) {
    this.service = service;
    this.method = method;
    this.type = type;
    this.shownFromStart = PREINITIALIZED.has(service);
    this.handlingSeconds = extensive ? new Histogram(GRPC_HANDLING_BOUNDS) : undefined;
  }

  get isShown(): boolean {
    return this.shownFromStart || this.started.value > 0;
  }

  /** `seconds` is used only with `handlingSeconds`. */
  ended(status: number, seconds: number): void {
    const known = status >= 0 && status < this.handled.length ? status : STATUS.UNKNOWN;
    this.handled[known]!++;
    this.handlingSeconds?.observe(seconds);
  }
}

/** The methods of a server. */
export class GrpcMetrics {
  readonly #methods = new Map<string, GrpcMethodMetrics>();
  readonly #extensive: boolean;

  constructor(extensive: boolean) {
    this.#extensive = extensive;
  }

  /** Registers a method when its service is set up; the caller keeps the record. */
  add(service: string, method: string, type: MethodKind): GrpcMethodMetrics {
    const name = `${service}/${method}`;
    invariant(!this.#methods.has(name), 'a gRPC method is measured once');
    const metrics = new GrpcMethodMetrics(service, method, type, this.#extensive);
    this.#methods.set(name, metrics);
    return metrics;
  }

  /** Records the duration of a call of the method at this path (`/service/method`), if extensive. */
  observe(path: string, seconds: number): void {
    if (this.#extensive) this.#methods.get(path.slice(1))?.handlingSeconds?.observe(seconds);
  }

  /** Those to be shown. */
  shown(): GrpcMethodMetrics[] {
    return [...this.#methods.values()].filter((method) => method.isShown);
  }
}
