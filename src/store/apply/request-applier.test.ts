import { expect, test } from 'vitest';
import { PutInPlace } from '../../protocol/index.ts';
import { APPLIED, type ApplyResult } from './apply-result.ts';
import type { Operation } from './operation.ts';
import { AlarmApplier, QuotaApplier, type RequestApplier } from './request-applier.ts';
import { REQUEST_KIND, type RequestUser } from './request-envelope.ts';

const PUT: Operation = {
  kind: REQUEST_KIND.PUT,
  request: new PutInPlace(),
};
const ROOT: RequestUser = { username: 'root', authRevision: 3 };

/** The end of a chain: notes what begins. */
class LastApplier implements RequestApplier {
  readonly begun: unknown[] = [];
  readonly result: ApplyResult = APPLIED;

  begin(operation: Operation, user: RequestUser, awaited: boolean): boolean {
    this.begun.push([operation.kind, user, awaited]);
    return true;
  }

  step(): boolean {
    return true;
  }
}

test('every applier of the chain hears in whose name a request is made', () => {
  const last = new LastApplier();
  const raised = { noSpace: false, corrupt: false };
  const quota = new QuotaApplier(last, () => true);
  const noSpace = AlarmApplier.forNoSpace(quota, () => raised.noSpace);
  const chain = AlarmApplier.forCorrupt(noSpace, () => raised.corrupt);
  expect(chain.begin(PUT, ROOT, true)).toBe(true);
  expect(chain.result).toBe(APPLIED);
  expect(last.begun).toEqual([[REQUEST_KIND.PUT, ROOT, true]]);
  raised.noSpace = true;
  expect(chain.begin(PUT, ROOT, true)).toBe(true);
  expect(chain.result).toEqual({ kind: 'error', error: 'NO_SPACE' });
  raised.corrupt = true;
  expect(chain.begin(PUT, ROOT, true)).toBe(true);
  expect(chain.result).toEqual({ kind: 'error', error: 'CORRUPT' });
  expect(last.begun).toHaveLength(1);
});
