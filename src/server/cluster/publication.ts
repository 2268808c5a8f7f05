// Publication of a member through the log after each start: its name and client URLs; alone in its
// cluster, also the cluster version. In the dialect of the cluster version.

import { failpoints } from '../../base/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  describeProposal,
  encodeV2Put,
  type MembershipProposal,
  proposeAttributes,
  proposeVersion,
  targetVersion,
} from '../../membership/index.ts';
import type { PeerEnv } from '../../peer/index.ts';
import { type EtcdErrorName, membershippb } from '../../protocol/index.ts';
import { REQUEST_KIND, type RequestKind, type RequestUser } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { Proposal, Proposals } from '../consensus/proposals.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { FORMS_POLL_MS_MIN, PUBLISH_RETRY_MS } from '../limits.ts';
import { requestVersions, spokenVersion } from '../member-versions.ts';
import type { Logger } from '../telemetry/log.ts';

/** Parts needed to log a membership request. */
export interface MembershipLogParts {
  readonly proposals: Pick<Proposals, 'propose' | 'proposeV2'>;
}

interface RepeatedLogParts extends MembershipLogParts {
  readonly env: PeerEnv;
  readonly log: Pick<Logger, 'warn'>;
  readonly life: { readonly isStopping: boolean };
}

interface VersionAloneParts extends RepeatedLogParts {
  readonly config: Pick<ServerConfig, 'maxClusterVersion'>;
  readonly store: StoreView<'cluster'>;
}

interface AttributesParts {
  readonly memberId: bigint;
  readonly config: Pick<ServerConfig, 'name' | 'advertiseClientUrls'>;
}

interface PublishAgainParts extends AttributesParts, MembershipLogParts {
  readonly raft: Pick<RaftState, 'leads'>;
  readonly store: StoreView<'cluster'>;
}

interface PublicationParts extends RepeatedLogParts {
  readonly memberId: bigint;
  readonly config: Pick<ServerConfig, 'name' | 'advertiseClientUrls' | 'maxClusterVersion'>;
  readonly log: Logger;
  readonly store: StoreView<'cluster'>;
  readonly membership: { readonly isAlone: boolean };
}

/** Retries until it is applied: as in etcd, a member is ready once it is published. */
export async function publishAttributes(parts: PublicationParts): Promise<void> {
  if (failpoints.active !== undefined) await failpoints.active.hold('beforePublishing');
  await logUntilApplied(parts, ownAttributes(parts, await formsVersion(parts)));
}

function ownAttributes(
  { config, memberId }: AttributesParts,
  at: ClusterVersion,
): MembershipProposal {
  const attributes = { name: config.name, clientURLs: config.advertiseClientUrls };
  return proposeAttributes(at, memberId, attributes);
}

/**
 * Logs this leader's publication again: it changes nothing, and gives the receiver of a database the
 * entry that etcd waits for. Real members count a database as applied only with the next entry, and refuse
 * their own requests until then. Tried once: if it is refused, the log is full of other entries.
 */
export async function publishAgain(parts: PublishAgainParts): Promise<void> {
  if (!parts.raft.leads) return;
  const at = spokenVersion(parts.store.machine.cluster.version);
  // Without a cluster version, the entry that sets it is still to come.
  if (at === undefined) return;
  await logMembership(parts, ownAttributes(parts, at));
}

/** A member alone sets or raises the cluster version without asking others. */
export async function publishVersionAlone(parts: VersionAloneParts): Promise<void> {
  const next = targetVersion(parts.config.maxClusterVersion);
  const { version: present, downgrade } = parts.store.machine.cluster;
  // While it is downgraded, the leader's check alone decides.
  if (downgrade.enabled) return;
  if (present !== undefined && compareVersions(present, next) >= 0) return;
  await logUntilApplied(parts, proposeVersion(spokenVersion(present) ?? next, next));
}

/**
 * The release whose dialect every member reads. With other members it waits for the cluster version, since
 * an older member would stop at an unknown form.
 */
async function formsVersion(parts: PublicationParts): Promise<ClusterVersion> {
  const { config, env, log, memberId, store, membership } = parts;
  const own = targetVersion(config.maxClusterVersion);
  for (let pauseMs = FORMS_POLL_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, PUBLISH_RETRY_MS)) {
    // Read each time: a snapshot may have replaced it.
    const { cluster } = store.machine;
    const { version } = cluster;
    const spoken = spokenVersion(version);
    if (spoken !== undefined) return spoken;
    if (membership.isAlone) return own;
    if (version !== undefined) {
      // A placeholder version, while a member does not answer: the reachable members decide.
      const others = cluster.members().filter(({ id }) => id !== memberId);
      const found = await Promise.all(others.map((member) => requestVersions(env, log, member)));
      return found
        .flatMap((versions) => versions?.server ?? [])
        .reduce((a, b) => (compareVersions(a, b) <= 0 ? a : b), own);
    }
    await pause(parts, pauseMs);
  }
}

async function logUntilApplied(
  parts: RepeatedLogParts,
  proposal: MembershipProposal,
): Promise<void> {
  for (;;) {
    const error = await logMembership(parts, proposal);
    if (error === undefined) return;
    if (error === 'STOPPED') throw new TetcdStopped();
    parts.log.warn('failed to log a membership request; it is tried again', {
      request: describeProposal(proposal),
      error,
    });
    // While the log's tail is being applied, refusals are immediate: the pause lets it continue.
    await pause(parts, PUBLISH_RETRY_MS);
  }
}

function pause({ life, env }: RepeatedLogParts, ms: number): Promise<void> {
  if (life.isStopping) throw new TetcdStopped();
  return new Promise((resolve) => env.timers.after(ms, resolve));
}

/** The member stopped before a publication was applied. */
export class TetcdStopped extends Error {
  override readonly name = 'TetcdStopped';

  constructor() {
    super('the member was stopped before it was ready');
  }
}

/** Proposes it; resolves to undefined once applied, or to the error. */
export function logMembership(
  { proposals }: MembershipLogParts,
  proposal: MembershipProposal,
): Promise<EtcdErrorName | undefined> {
  return new Promise((resolve) => {
    const waiter = waiterOf(resolve);
    const propose = (kind: RequestKind, body: Uint8Array): void =>
      proposals.propose(kind, undefined, body, 0, body.length, waiter);
    switch (proposal.form) {
      case 'v2':
        proposals.proposeV2((id) => encodeV2Put(proposal.request, id), waiter);
        break;
      case 'clusterMemberAttrSet':
        propose(
          REQUEST_KIND.CLUSTER_MEMBER_ATTR_SET,
          membershippb.ClusterMemberAttrSetRequestCodec.encode({
            memberID: proposal.memberID,
            memberAttributes: { name: proposal.name, clientUrls: [...proposal.clientURLs] },
          }),
        );
        break;
      case 'clusterVersionSet':
        propose(
          REQUEST_KIND.CLUSTER_VERSION_SET,
          membershippb.ClusterVersionSetRequestCodec.encode({ ver: proposal.ver }),
        );
        break;
    }
  });
}

/** Proposes the begin or the end of a downgrade, in the name of `caller`; resolves as `logMembership`. */
export function logDowngrade(
  { proposals }: MembershipLogParts,
  caller: RequestUser | undefined,
  request: membershippb.DowngradeInfoSetRequest,
): Promise<EtcdErrorName | undefined> {
  const body = membershippb.DowngradeInfoSetRequestCodec.encode(request);
  return new Promise((resolve) => {
    const waiter = waiterOf(resolve);
    proposals.propose(REQUEST_KIND.DOWNGRADE_INFO_SET, caller, body, 0, body.length, waiter);
  });
}

function waiterOf(resolve: (error: EtcdErrorName | undefined) => void): Proposal {
  return {
    complete: (result) => resolve(result.kind === 'error' ? result.error : undefined),
    fail: resolve,
  };
}
