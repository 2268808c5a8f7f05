// What a member says of itself through the log after each start: its name and client URLs, and as
// leader the version that the cluster speaks. In the form that the cluster's version asks for.

import {
  type ClusterVersion,
  compareVersions,
  describeProposal,
  encodeV2Put,
  type MembershipProposal,
  proposeAttributes,
  proposeVersion,
  targetVersion,
} from '../membership/index.ts';
import { membershippb } from '../protocol/index.ts';
import { REQUEST_KIND } from '../store/index.ts';
import type { MemberCore } from './core.ts';
import { PUBLISH_RETRY_MS } from './limits.ts';

/** Until the first answer; then etcd's order of things is kept: a member is ready once published. */
export async function publishAttributes(core: MemberCore): Promise<void> {
  const { config, machine, memberId } = core;
  const at = machine.cluster.version ?? targetVersion(config.maxClusterVersion);
  const attributes = { name: config.name, clientURLs: config.advertiseClientUrls };
  await logUntilApplied(core, proposeAttributes(at, memberId, attributes));
}

/** Raises (or sets) the cluster's version to what this member alone decides. */
export async function publishVersion(core: MemberCore): Promise<void> {
  const next = targetVersion(core.config.maxClusterVersion);
  const present = core.machine.cluster.version;
  if (present !== undefined && compareVersions(present, next) >= 0) return;
  await logUntilApplied(core, proposeVersion(present ?? next, next));
}

/** Whether the version is already what this member would make it. */
export function versionIsSettled(present: ClusterVersion | undefined, core: MemberCore): boolean {
  if (present === undefined) return false;
  return compareVersions(present, targetVersion(core.config.maxClusterVersion)) >= 0;
}

async function logUntilApplied(core: MemberCore, proposal: MembershipProposal): Promise<void> {
  for (;;) {
    const error = await logOnce(core, proposal);
    if (error === undefined) return;
    if (error === 'STOPPED') throw new TetcdStopped();
    core.log.warn('failed to log a membership request; it is tried again', {
      request: describeProposal(proposal),
      error,
    });
    // A refusal comes at once while the log's tail is applied: without a pause nothing would be.
    await new Promise<void>((resolve) => core.env.timers.after(PUBLISH_RETRY_MS, resolve));
  }
}

/** The member stopped before a publication was applied. */
export class TetcdStopped extends Error {
  override readonly name = 'TetcdStopped';
}

/** Resolves to undefined once applied, or to the error. */
function logOnce(core: MemberCore, proposal: MembershipProposal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const waiter = {
      complete: (result: { readonly kind: string; readonly error?: string }) =>
        resolve(result.kind === 'error' ? result.error : undefined),
      fail: (error: string) => resolve(error),
    };
    switch (proposal.form) {
      case 'v2':
        core.proposals.proposeV2((id) => encodeV2Put(proposal.request, id), waiter);
        break;
      case 'clusterMemberAttrSet': {
        const body = membershippb.ClusterMemberAttrSetRequestCodec.encode({
          memberID: proposal.memberID,
          memberAttributes: { name: proposal.name, clientUrls: [...proposal.clientURLs] },
        });
        core.proposals.propose(REQUEST_KIND.CLUSTER_MEMBER_ATTR_SET, body, 0, body.length, waiter);
        break;
      }
      case 'clusterVersionSet': {
        const body = membershippb.ClusterVersionSetRequestCodec.encode({ ver: proposal.ver });
        core.proposals.propose(REQUEST_KIND.CLUSTER_VERSION_SET, body, 0, body.length, waiter);
        break;
      }
    }
  });
}
