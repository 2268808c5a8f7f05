// Responses to a posted message.

import { utf8FromBytes } from '../base/index.ts';
import { CLUSTER_MISMATCH, INCOMPATIBLE_VERSION } from './compatibility.ts';
import type { PeerContext } from './context.ts';
import { MISMATCH } from './receipt-answer.ts';
import { REMOVED_REASON } from './stream-reader.ts';
import type { PeerResponse } from './types.ts';

/** Undefined if the message was accepted, else why not. Reports it if this member was removed. */
export function refusalOfPost(
  context: PeerContext,
  peer: string,
  answer: PeerResponse,
): string | undefined {
  const text = utf8FromBytes(answer.body).replace(/\n$/, '');
  switch (answer.status) {
    case 204:
      return undefined;
    case 403:
      // Another member has this address now, which says nothing about our own membership: the change may
      // have been made while we were down. (etcd treats any 403 as its own removal, and stops.)
      if (text.includes(MISMATCH)) return MISMATCH;
      context.host.onRemoved(REMOVED_REASON);
      return REMOVED_REASON;
    case 412:
      break;
    default:
      return `unexpected http status ${answer.status} (${text.slice(0, 200)})`;
  }
  if (text === INCOMPATIBLE_VERSION) {
    context.log.warn('request sent was ignored by peer', { 'remote-peer-id': peer });
    return text;
  }
  if (text === CLUSTER_MISMATCH) {
    context.log.warn('request sent was ignored due to cluster ID mismatch', {
      'remote-peer-id': peer,
      'remote-peer-cluster-id': answer.headers['x-etcd-cluster-id'] ?? '',
      'local-member-cluster-id': context.cluster,
    });
    return text;
  }
  return `unhandled error ${JSON.stringify(text)} when precondition failed`;
}
