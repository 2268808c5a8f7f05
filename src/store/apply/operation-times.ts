// Durations per operation of the log, by outcome. Hot: once per request and once per entry, so that the
// histograms are looked up by number.

import { type Histogram, OutcomeTimes } from '../../base/index.ts';
import { operationName } from './operation-names.ts';
import type { RequestKind } from './request-envelope.ts';

export class OperationTimes {
  readonly #make: (operation: string, success: boolean) => Histogram;
  /** Bounded by the kinds that there are. */
  readonly #byKind = new Map<RequestKind, OutcomeTimes>();

  /** `make` gives the histogram, in seconds, of an operation by etcd's name; called once for each. */
  constructor(make: (operation: string, success: boolean) => Histogram) {
    this.#make = make;
  }

  observe(kind: RequestKind, success: boolean, ms: number): void {
    this.of(kind).observe(success, ms);
  }

  of(kind: RequestKind): OutcomeTimes {
    const known = this.#byKind.get(kind);
    if (known !== undefined) return known;
    const times = new OutcomeTimes((success) => this.#make(operationName(kind), success));
    this.#byKind.set(kind, times);
    return times;
  }
}
