// Response to a refused message.

import { bytesFromUtf8, unreachable } from '../base/index.ts';
import type { Answer } from './http1/index.ts';
import { RECEIPTS, type Receipt } from './types.ts';

/** The message names another receiver. */
export const MISMATCH = 'cannot process message to mismatch member';

/** The 403 of a message that concerns a removed member or another one; undefined otherwise. */
export function refusalOfReceipt(
  receipt: Receipt,
  headers: Readonly<Record<string, string>>,
): Answer | undefined {
  switch (receipt) {
    case RECEIPTS.FROM_REMOVED:
      return forbidden('cannot process message from removed member', headers);
    case RECEIPTS.NOT_FOR_ME:
      return forbidden(MISMATCH, headers);
    case RECEIPTS.ACCEPTED:
    case RECEIPTS.REFUSED:
      return undefined;
    default:
      return unreachable(receipt);
  }
}

function forbidden(message: string, headers: Readonly<Record<string, string>>): Answer {
  return {
    status: 403,
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: bytesFromUtf8(JSON.stringify({ message })),
  };
}
