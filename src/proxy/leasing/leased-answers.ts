// Answers from keys that a proxy owns, as a member would give them; and what writes make of such keys.

import { compareBytes, EMPTY_BYTES, latin1FromBytes } from '../../base/index.ts';
import {
  acceptsLease,
  acceptsNumber,
  acceptsOrder,
  etcdserverpb,
  mvccpb,
} from '../../protocol/index.ts';
import { isWithin, rangeOf } from '../kv/key-range.ts';
import type { Written } from './txn-targets.ts';

type KeyValue = mvccpb.KeyValue;

const { CompareTarget } = etcdserverpb;

/** A key as it is now: undefined if it does not exist. */
export type KeyState = KeyValue | undefined;

/** The answer to a read of one key at the newest revision. */
export function rangeAnswer(
  request: etcdserverpb.RangeRequest,
  kv: KeyState,
  header: etcdserverpb.ResponseHeader,
): etcdserverpb.RangeResponse {
  const { RangeResponseCodec } = etcdserverpb;
  if (kv === undefined) return RangeResponseCodec.create({ header });
  const isShown = !request.countOnly && passesFilters(request, kv);
  const shown = request.keysOnly ? { ...kv, value: EMPTY_BYTES } : kv;
  return RangeResponseCodec.create({ header, kvs: isShown ? [shown] : [], count: 1 });
}

function passesFilters(request: etcdserverpb.RangeRequest, kv: KeyValue): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return (
    kv.modRevision >= minModRevision &&
    (maxModRevision === 0 || kv.modRevision <= maxModRevision) &&
    kv.createRevision >= minCreateRevision &&
    (maxCreateRevision === 0 || kv.createRevision <= maxCreateRevision)
  );
}

/** Whether the comparison holds for the key; a value of nothing never does. */
export function compareHolds(compare: etcdserverpb.Compare, kv: KeyState): boolean {
  const { target, targetUnion: wanted } = compare;
  switch (target) {
    case CompareTarget.VALUE: {
      if (kv === undefined) return false;
      const value = wanted?.case === 'value' ? wanted.value : EMPTY_BYTES;
      return acceptsOrder(compare, compareBytes(kv.value, value));
    }
    case CompareTarget.VERSION:
      return acceptsNumber(compare, kv?.version ?? 0);
    case CompareTarget.CREATE:
      return acceptsNumber(compare, kv?.createRevision ?? 0);
    case CompareTarget.MOD:
      return acceptsNumber(compare, kv?.modRevision ?? 0);
    case CompareTarget.LEASE:
      return acceptsLease(compare, kv?.lease ?? 0n);
    default:
      return acceptsOrder(compare, 0);
  }
}

/** The key after these operations, all of one revision; `attached` if it is attached to a lease now. */
export function stateAfter(
  key: string,
  before: KeyState,
  written: readonly Written[],
  revision: number,
): KeyState | 'attached' {
  let state = before;
  for (const { case: kind, value } of written) {
    if (kind === 'requestDeleteRange') {
      if (isWithin(key, rangeOf(value))) state = undefined;
    } else if (latin1FromBytes(value.key) === key) {
      if (value.lease !== 0n) return 'attached';
      state = mvccpb.KeyValueCodec.create({
        key: Uint8Array.from(value.key),
        value: value.ignoreValue ? (state?.value ?? EMPTY_BYTES) : Uint8Array.from(value.value),
        createRevision: state?.createRevision ?? revision,
        modRevision: revision,
        version: (state?.version ?? 0) + 1,
      });
    }
  }
  return state;
}
