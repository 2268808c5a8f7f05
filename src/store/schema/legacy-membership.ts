// Membership changes of log entries that the backend covers already.
//
// Directories of releases up to 3.5 keep the membership in the `.snap` file and the log; the rows of
// the backend may be stale. Boot starts with the membership of the `.snap` file and replays the entries
// up to the backend's index; the state machine continues from there.

import type { LogIndex } from '../../base/index.ts';
import { type Cluster, v2RequestIn } from '../../membership/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import { REQUEST_KIND, RequestEnvelope, readEnvelope } from '../apply/request-envelope.ts';
import {
  applyMembershipRequest,
  applyV2Request,
  confChangeIn,
  ENTRY_NORMAL,
} from '../apply/state-machine.ts';

/** Applies the membership changes among `entries` up to `lastIndex`; the rows are not written. */
export function replayMembership(
  cluster: Cluster,
  entries: readonly raftpb.Entry[],
  lastIndex: LogIndex,
): void {
  const envelope = new RequestEnvelope();
  for (const entry of entries) {
    if (entry.index > lastIndex) return;
    if (entry.type !== ENTRY_NORMAL) {
      cluster.applyConfChange(entry.index, confChangeIn(entry));
      continue;
    }
    if (entry.data.length === 0) continue;
    const v2 = v2RequestIn(entry.data);
    if (v2 !== undefined) {
      applyV2Request(cluster, entry.index, v2);
      continue;
    }
    readEnvelope(entry.data, envelope);
    const { kind, body, bodyStart, bodyEnd } = envelope;
    const changesMembership =
      kind >= REQUEST_KIND.CLUSTER_VERSION_SET && kind <= REQUEST_KIND.DOWNGRADE_INFO_SET;
    if (changesMembership) {
      applyMembershipRequest(cluster, entry.index, kind, body.subarray(bodyStart, bodyEnd));
    }
  }
}
