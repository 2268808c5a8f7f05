// What the HTTP handlers show of a member.

import { formatStoredVersion, SERVER_RELEASE } from '../../membership/index.ts';
import { ETCD_ERRORS, etcdserverpb } from '../../protocol/index.ts';
import type { MemberCore } from '../core.ts';
import { alarmName } from '../services/maintenance.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { HttpSource, Versions } from './handler.ts';
import { HealthHandler, type HealthMetrics, type HealthSource } from './health.ts';

export function httpSourceOf(core: MemberCore, metrics: Metrics): HttpSource {
  return {
    health: new HealthHandler(healthSource(core), healthMetrics(core), core.log.child('http')),
    versions: () => ownVersions(core),
    metrics: () => metrics.render(),
  };
}

/** What `/version` says. */
export function ownVersions({ machine, storageVersion }: MemberCore): Versions {
  const { version } = machine.cluster;
  return {
    server: SERVER_RELEASE,
    cluster: version === undefined ? 'not_decided' : formatStoredVersion(version),
    storage: storageVersion === undefined ? 'unknown' : formatStoredVersion(storageVersion),
  };
}

function healthSource(core: MemberCore): HealthSource {
  const { NONE } = etcdserverpb.AlarmType;
  return {
    activeAlarms: () => core.machine.alarms.list(NONE).map(({ alarm }) => alarmName(alarm)),
    get hasLeader() {
      return core.raft.leader !== 0n;
    },
    get isLearner() {
      return core.isLearner;
    },
    serializableRead: async () => {
      core.machine.kv.index.count('\0', '', core.machine.kv.currentRev);
    },
    linearizableRead: () =>
      new Promise<void>((resolve, reject) =>
        core.reads.request({
          serve: resolve,
          fail: (error) => reject(new Error(ETCD_ERRORS[error].message)),
        }),
      ),
  };
}

function healthMetrics({ metrics: { server } }: MemberCore): HealthMetrics {
  return {
    healthAnswered: (healthy) => {
      if (healthy) server.healthSuccess.value++;
      else server.healthFailures.value++;
    },
    checkAnswered: (probe, check, healthy) => {
      server.healthcheck.with(probe, check).value = healthy ? 1 : 0;
      server.healthchecks.with(probe, check, healthy ? 'success' : 'error').value++;
    },
  };
}
