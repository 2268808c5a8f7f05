// What a request may write, and what an answered one has written.

import { latin1FromBytes } from '../../base/index.ts';
import type { etcdserverpb } from '../../protocol/index.ts';
import { type KeyRange, rangeOf } from '../kv/key-range.ts';

export interface Targets {
  readonly points: ReadonlySet<string>;
  readonly ranges: readonly KeyRange[];
}

/** An operation that was executed; of a transaction the branch that was taken. */
export type Written = Extract<
  NonNullable<etcdserverpb.RequestOp['request']>,
  { readonly case: 'requestPut' | 'requestDeleteRange' }
>;

/** Of any branch, at any depth. */
export function targetsOf(ops: readonly etcdserverpb.RequestOp[]): Targets {
  const points = new Set<string>();
  const ranges: KeyRange[] = [];
  const visit = ({ request }: etcdserverpb.RequestOp): void => {
    switch (request?.case) {
      case 'requestPut':
        points.add(latin1FromBytes(request.value.key));
        break;
      case 'requestDeleteRange': {
        const range = rangeOf(request.value);
        if (range.end === '') points.add(range.from);
        else ranges.push(range);
        break;
      }
      case 'requestTxn':
        for (const op of [...request.value.success, ...request.value.failure]) visit(op);
        break;
      default:
    }
  };
  for (const op of ops) visit(op);
  return { points, ranges };
}

export function writtenBy(
  ops: readonly etcdserverpb.RequestOp[],
  responses: readonly etcdserverpb.ResponseOp[],
): Written[] {
  return ops.flatMap(({ request }, at) => {
    const { response } = responses[at]!;
    switch (request?.case) {
      case 'requestPut':
      case 'requestDeleteRange':
        return [request];
      case 'requestTxn': {
        if (response?.case !== 'responseTxn') return [];
        const { succeeded, responses: inner } = response.value;
        return writtenBy(succeeded ? request.value.success : request.value.failure, inner);
      }
      default:
        return [];
    }
  });
}
