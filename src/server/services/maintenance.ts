// etcdserverpb.Maintenance: status, alarms, hashes.

import { invariant } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { formatStoredVersion, SERVER_RELEASE } from '../../membership/index.ts';
import { ETCD_ERRORS, EtcdError, etcdserverpb } from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import type { OwnMembership } from '../cluster/own-membership.ts';
import type { Leadership } from '../consensus/leadership.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StateMachineOwner } from '../consensus/state-machine-owner.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Quota } from '../duties/quota.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import type { ResponseHeaders } from './response-header.ts';
import { UnaryProposal } from './unary-proposal.ts';

const { AlarmAction, AlarmType, MaintenanceService } = etcdserverpb;
const methods = MaintenanceService.methods;

const ALARM_NAMES: Readonly<Record<number, string>> = {
  [AlarmType.NONE]: 'NONE',
  [AlarmType.NOSPACE]: 'NOSPACE',
  [AlarmType.CORRUPT]: 'CORRUPT',
};

export function alarmName(type: number): string {
  return ALARM_NAMES[type] ?? String(type);
}

export interface MaintenanceParts {
  readonly env: Pick<Env, 'clock'>;
  readonly metrics: Pick<ServerMetrics, 'mvcc'>;
  readonly header: Pick<ResponseHeaders, 'message'>;
  readonly raft: Pick<RaftState, 'leader' | 'leads' | 'term' | 'committedIndex' | 'appliedIndex'>;
  readonly leadership: Pick<Leadership, 'moveTo'>;
  readonly membership: Pick<OwnMembership, 'isLearner'>;
  readonly proposals: Pick<Proposals, 'propose'>;
  readonly quota: Pick<Quota, 'limitBytes'>;
  readonly store: StoreView<'alarms' | 'backend' | 'cluster' | 'hash' | 'hashKv' | 'kv'> &
    Pick<StateMachineOwner, 'storageVersion'>;
}

export function registerMaintenanceService(table: ServiceTable, parts: MaintenanceParts): void {
  const { env, metrics, proposals, store } = parts;
  const { clock } = env;
  table.unary(methods.status, (call) => call.reply(methods.status.response, statusOf(parts)), {
    access: 'user',
    servedByLearner: true,
  });
  table.unary(
    methods.moveLeader,
    (call, request) => void moveLeader(parts, call, request.targetID),
    { access: 'root' },
  );
  const alarm = (call: UnaryCall, _request: unknown, bytes: Uint8Array): void =>
    proposals.propose(
      REQUEST_KIND.ALARM,
      call.caller,
      bytes,
      0,
      bytes.length,
      new UnaryProposal(call, (result) => {
        invariant(result.kind === 'alarm', 'an alarm request has an alarm result');
        call.reply(methods.alarm.response, {
          header: headerNow(parts),
          alarms: [...result.alarms],
        });
      }),
    );
  table.unary(methods.alarm, alarm, {
    access: ({ action }) => (action === AlarmAction.GET ? 'user' : 'root'),
  });
  const hashKv = async (call: UnaryCall, request: etcdserverpb.HashKVRequest): Promise<void> => {
    const { hash, compactRevision, hashRevision } = await store.machine.hashKv(request.revision);
    call.reply(methods.hashKV.response, {
      header: headerNow(parts),
      hash,
      compactRevision,
      hashRevision,
    });
  };
  table.unary(methods.hashKV, (call, request) => void answer(call, () => hashKv(call, request)), {
    access: 'root',
  });
  const hash = async (call: UnaryCall): Promise<void> => {
    const began = clock.monotonicMs();
    const hash = await store.machine.hash();
    metrics.mvcc.hashSeconds.observe((clock.monotonicMs() - began) / 1000);
    call.reply(methods.hash.response, { header: headerNow(parts), hash });
  };
  table.unary(methods.hash, (call) => void answer(call, () => hash(call)), { access: 'root' });
}

function headerNow({ header, store }: MaintenanceParts): etcdserverpb.ResponseHeader {
  return header.message(store.machine.kv.currentRev);
}

async function moveLeader(
  { raft, leadership }: MaintenanceParts,
  call: UnaryCall,
  transferee: bigint,
): Promise<void> {
  const error = raft.leads ? await leadership.moveTo(transferee) : 'NOT_LEADER';
  if (error !== undefined) failWith(call, error);
  // As in etcd, this response has no header.
  else call.reply(methods.moveLeader.response, { header: undefined });
}

/** Runs work of several turns; its failure is the answer. */
async function answer(call: UnaryCall, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof EtcdError) failWith(call, error.code);
    else call.fail(STATUS.UNKNOWN, error instanceof Error ? error.message : String(error));
  }
}

function statusOf(parts: MaintenanceParts): etcdserverpb.StatusResponse {
  const { raft, membership, quota, store } = parts;
  const { machine, storageVersion } = store;
  const downgrade = machine.cluster.downgrade;
  const errors: string[] = [];
  if (raft.leader === 0n) errors.push(ETCD_ERRORS.NO_LEADER.message);
  for (const { memberID, alarm } of machine.alarms.list(AlarmType.NONE)) {
    // The text form of an AlarmMember, which leaves out an id of zero.
    const member = memberID === 0n ? '' : `memberID:${memberID} `;
    errors.push(`${member}alarm:${alarmName(alarm)}`);
  }
  return {
    header: headerNow(parts),
    version: SERVER_RELEASE,
    dbSize: machine.backend.sizeBytes,
    leader: raft.leader,
    raftIndex: raft.committedIndex,
    raftTerm: raft.term,
    raftAppliedIndex: raft.appliedIndex,
    errors,
    dbSizeInUse: machine.backend.sizeInUseBytes,
    isLearner: membership.isLearner,
    storageVersion: storageVersion === undefined ? '' : formatStoredVersion(storageVersion),
    dbSizeQuota: quota.limitBytes ?? 0,
    downgradeInfo: downgrade.enabled
      ? { enabled: true, targetVersion: downgrade.targetVersion }
      : { enabled: false, targetVersion: '' },
  };
}
