// Answers from keys that a proxy owns, as a member would give them; and what writes make of such keys.

import { compareBytes, latin1FromBytes } from '../../base/index.ts';
import { etcdserverpb, mvccpb } from '../../protocol/index.ts';
import { isWithin, rangeOf, type Written } from './txn-targets.ts';

type KeyValue = mvccpb.KeyValue;

const { CompareResult, CompareTarget } = etcdserverpb;

const NOTHING = new Uint8Array(0);

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
  const shown = request.keysOnly ? { ...kv, value: NOTHING } : kv;
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
    case CompareTarget.VALUE:
      if (kv === undefined) return false;
      return accepts(
        compare,
        compareBytes(kv.value, wanted?.case === 'value' ? wanted.value : NOTHING),
      );
    case CompareTarget.VERSION:
      return holdsFor(compare, kv?.version, wanted?.case === 'version' ? wanted.value : 0);
    case CompareTarget.CREATE: {
      const number = wanted?.case === 'createRevision' ? wanted.value : 0;
      return holdsFor(compare, kv?.createRevision, number);
    }
    case CompareTarget.MOD:
      return holdsFor(compare, kv?.modRevision, wanted?.case === 'modRevision' ? wanted.value : 0);
    case CompareTarget.LEASE: {
      const lease = wanted?.case === 'lease' ? wanted.value : 0n;
      return accepts(compare, signOf(kv?.lease ?? 0n, lease));
    }
    default:
      return accepts(compare, 0);
  }
}

function holdsFor(compare: etcdserverpb.Compare, found: number | undefined, wanted: number) {
  return accepts(compare, signOf(found ?? 0, wanted));
}

function signOf<T extends number | bigint>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function accepts({ result }: etcdserverpb.Compare, sign: number): boolean {
  switch (result) {
    case CompareResult.EQUAL:
      return sign === 0;
    case CompareResult.NOT_EQUAL:
      return sign !== 0;
    case CompareResult.GREATER:
      return sign > 0;
    case CompareResult.LESS:
      return sign < 0;
    default:
      return true;
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
        value: value.ignoreValue ? (state?.value ?? NOTHING) : Uint8Array.from(value.value),
        createRevision: state?.createRevision ?? revision,
        modRevision: revision,
        version: (state?.version ?? 0) + 1,
      });
    }
  }
  return state;
}
