// Ids of proposals, unique among the members of a cluster and across restarts.
//
//     | 16 bits: low bits of the member id | 40 bits: milliseconds at start | 8 bits: counter |
//
// The counter carries over into the time bits; ids repeat only above 256 proposals per millisecond,
// sustained over the member's whole uptime. Layout: etcd v3.7.1 `pkg/idutil`.

import { REQUEST_ID_LOW_BITS } from '../../store/index.ts';

const LOW_LIMIT = 2 ** REQUEST_ID_LOW_BITS;
const TIME_LIMIT = 2 ** 40;
const COUNTER_LIMIT = 256;

export class RequestIds {
  /** Upper 16 bits of every id of this member. */
  readonly high: number;
  #low: number;

  constructor(memberId: bigint, wallMs: number) {
    this.high = Number(memberId & 0xffffn);
    this.#low = (Math.floor(wallMs) % TIME_LIMIT) * COUNTER_LIMIT;
  }

  /** Lower 48 bits of the next id; never 0, which would mean "no id" for a member id ending in 0. */
  next(): number {
    this.#low = this.#low + 1 < LOW_LIMIT ? this.#low + 1 : 1;
    return this.#low;
  }

  /** The whole 64 bits, for ids that leave this member as such (a lease's chosen id, a conf change). */
  nextWhole(): bigint {
    return this.whole(this.next());
  }

  /** The 64 bits of which {@link next} gave the lower part. */
  whole(low: number): bigint {
    return (BigInt(this.high) << BigInt(REQUEST_ID_LOW_BITS)) | BigInt(low);
  }
}

/** The upper and the lower part of an id. */
export function splitRequestId(id: bigint): [high: number, low: number] {
  return [
    Number(id >> BigInt(REQUEST_ID_LOW_BITS)),
    Number(BigInt.asUintN(REQUEST_ID_LOW_BITS, id)),
  ];
}
