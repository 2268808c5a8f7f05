// What a comparison of a transaction asks for: the wanted number, and whether an order is the one that it
// names. For members, which compare with what they store, and proxies, which do with what they know.

import { type Compare, CompareResult, CompareTarget } from './gen/etcdserverpb.ts';

/**
 * Whether the comparison asks for this order of what was found and what it wants: negative, zero or positive.
 * One of a result outside the enum asks for nothing.
 */
export function acceptsOrder({ result }: Compare, order: number): boolean {
  switch (result) {
    case CompareResult.EQUAL:
      return order === 0;
    case CompareResult.NOT_EQUAL:
      return order !== 0;
    case CompareResult.GREATER:
      return order > 0;
    case CompareResult.LESS:
      return order < 0;
    default:
      return true;
  }
}

/** For a comparison of versions or revisions. */
export function acceptsNumber(compare: Compare, found: number): boolean {
  return acceptsOrder(compare, orderOf(found, wantedNumber(compare)));
}

export function acceptsLease(compare: Compare, found: bigint): boolean {
  const { targetUnion } = compare;
  const wanted = targetUnion?.case === 'lease' ? targetUnion.value : 0n;
  return acceptsOrder(compare, orderOf(found, wanted));
}

/** 0 if the request gives a number of another kind. */
function wantedNumber({ target, targetUnion }: Compare): number {
  switch (targetUnion?.case) {
    case 'version':
      return target === CompareTarget.VERSION ? targetUnion.value : 0;
    case 'createRevision':
      return target === CompareTarget.CREATE ? targetUnion.value : 0;
    case 'modRevision':
      return target === CompareTarget.MOD ? targetUnion.value : 0;
    default:
      return 0;
  }
}

function orderOf<T extends number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
