// etcdserverpb.Maintenance: status, alarms, hashes.

import { invariant } from '../../base/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { formatStoredVersion, SERVER_RELEASE } from '../../membership/index.ts';
import { ETCD_ERRORS, EtcdError, etcdserverpb } from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import type { MemberCore } from '../core.ts';
import { headerOf } from './reply.ts';
import { WrittenResponse } from './written-response.ts';

const { AlarmType, MaintenanceService } = etcdserverpb;
const methods = MaintenanceService.methods;

const ALARM_NAMES: Readonly<Record<number, string>> = {
  [AlarmType.NONE]: 'NONE',
  [AlarmType.NOSPACE]: 'NOSPACE',
  [AlarmType.CORRUPT]: 'CORRUPT',
};

export function alarmName(type: number): string {
  return ALARM_NAMES[type] ?? String(type);
}

export function registerMaintenanceService(table: ServiceTable, core: MemberCore): void {
  table.unary(methods.status, (call) => call.reply(methods.status.response, statusOf(core)), {
    servedByLearner: true,
  });
  table.unary(methods.moveLeader, (call, request) => {
    void moveLeader(core, call, request.targetID);
  });
  table.unary(methods.alarm, (call, _request, bytes) =>
    core.proposals.propose(
      REQUEST_KIND.ALARM,
      call.caller,
      bytes,
      0,
      bytes.length,
      new WrittenResponse(call, (result) => {
        invariant(result.kind === 'alarm', 'an alarm request has an alarm result');
        call.reply(methods.alarm.response, {
          header: headerOf(core),
          alarms: [...result.alarms],
        });
      }),
    ),
  );
  table.unary(methods.hashKV, (call, request) => {
    void answer(call, async () => {
      const { clock } = core.env;
      const began = clock.monotonicMs();
      const { hash, compactRevision, hashRevision } = await core.machine.hashKv(request.revision);
      core.metrics.mvcc.hashRevSeconds.observe((clock.monotonicMs() - began) / 1000);
      call.reply(methods.hashKV.response, {
        header: headerOf(core),
        hash,
        compactRevision,
        hashRevision,
      });
    });
  });
  table.unary(methods.hash, (call) => {
    void answer(call, async () => {
      const { clock } = core.env;
      const began = clock.monotonicMs();
      const hash = await core.machine.hash();
      core.metrics.mvcc.hashSeconds.observe((clock.monotonicMs() - began) / 1000);
      call.reply(methods.hash.response, { header: headerOf(core), hash });
    });
  });
}

async function moveLeader(core: MemberCore, call: UnaryCall, transferee: bigint): Promise<void> {
  const error =
    core.raft.leader === core.memberId ? await core.leadership.moveTo(transferee) : 'NOT_LEADER';
  if (error !== undefined) failWith(call, error);
  // As etcd has it: this answer alone has no header.
  else call.reply(methods.moveLeader.response, { header: undefined });
}

/** Runs what takes several turns; its failure is the answer. */
async function answer(call: UnaryCall, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof EtcdError) failWith(call, error.code);
    else call.fail(STATUS.UNKNOWN, error instanceof Error ? error.message : String(error));
  }
}

function statusOf(core: MemberCore): etcdserverpb.StatusResponse {
  const { raft, machine } = core;
  const downgrade = machine.cluster.downgrade;
  const errors: string[] = [];
  if (raft.leader === 0n) errors.push(ETCD_ERRORS.NO_LEADER.message);
  for (const { memberID, alarm } of machine.alarms.list(AlarmType.NONE)) {
    // The text form of an AlarmMember, which leaves out an id of zero.
    const member = memberID === 0n ? '' : `memberID:${memberID} `;
    errors.push(`${member}alarm:${alarmName(alarm)}`);
  }
  return {
    header: headerOf(core),
    version: SERVER_RELEASE,
    dbSize: machine.backend.sizeBytes,
    leader: raft.leader,
    raftIndex: raft.committedIndex,
    raftTerm: raft.term,
    raftAppliedIndex: raft.appliedIndex,
    errors,
    dbSizeInUse: machine.backend.sizeInUseBytes,
    isLearner: core.isLearner,
    storageVersion:
      core.storageVersion === undefined ? '' : formatStoredVersion(core.storageVersion),
    dbSizeQuota: core.quota.limitBytes ?? 0,
    downgradeInfo: downgrade.enabled
      ? { enabled: true, targetVersion: downgrade.targetVersion }
      : { enabled: false, targetVersion: '' },
  };
}
