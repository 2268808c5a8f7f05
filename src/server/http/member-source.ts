// The member as the HTTP handlers use it.

import type { Env } from '../../env/index.ts';
import { JsonGateway } from '../../gateway/index.ts';
import { ETCD_ERRORS, etcdserverpb } from '../../protocol/index.ts';
import type { LocalCalls, ServiceTable } from '../../rpc/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { OwnMembership } from '../cluster/own-membership.ts';
import { type OwnVersionsParts, ownVersions } from '../cluster/own-versions.ts';
import type { ServerConfig } from '../config/index.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { REQUEST_OVERHEAD_BYTES } from '../limits.ts';
import { alarmName } from '../services/maintenance.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import type { DebugVarsParts } from './debug-vars.ts';
import type { DebugPages, HttpSource } from './handler.ts';
import { HealthHandler, type HealthMetrics, type HealthSource } from './health.ts';
import { HttpAccess } from './http-access.ts';
import { MetricsPage } from './metrics-page.ts';

interface HttpSourceParts extends DebugVarsParts {
  readonly callers: Pick<Callers, 'areAsked'>;
  readonly config: Pick<ServerConfig, 'clientTls' | 'enableGrpcGateway' | 'http'> & {
    readonly grpc: Pick<ServerConfig['grpc'], 'maxRequestBytes'>;
  };
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly services: ServiceTable;
  readonly gatewayCalls: LocalCalls;
  readonly log: Logger;
  readonly metrics: Pick<ServerMetrics, 'server' | 'scrapes'>;
  readonly raft: Pick<RaftState, 'leader'>;
  readonly membership: Pick<OwnMembership, 'isLearner'>;
  readonly reads: Pick<ReadIndexQueue, 'whenLinearizable'>;
  readonly store: StoreView<'alarms' | 'kv'> & OwnVersionsParts['store'];
}

export function httpSourceOf(
  parts: HttpSourceParts,
  metrics: Metrics,
  debug: readonly DebugPages[],
): HttpSource {
  const log = parts.log.child('http');
  return {
    access: new HttpAccess(parts.config.http, log),
    health: new HealthHandler(healthSource(parts), healthMetrics(parts), log),
    gateway: parts.config.enableGrpcGateway ? createGateway(parts) : undefined,
    get refusesNamedCertificates() {
      return parts.config.clientTls.clientCertAuth && parts.callers.areAsked;
    },
    debug,
    debugVars: parts,
    versions: () => ownVersions(parts),
    metricsPage: new MetricsPage({ ...parts, log, render: () => metrics.render() }),
  };
}

function createGateway({ config, env, services, gatewayCalls }: HttpSourceParts): JsonGateway {
  return new JsonGateway({
    ...{ table: services, calls: gatewayCalls, env },
    receiveBytesMax: config.grpc.maxRequestBytes + REQUEST_OVERHEAD_BYTES,
  });
}

function healthSource({ raft, membership, reads, store }: HttpSourceParts): HealthSource {
  const { NONE } = etcdserverpb.AlarmType;
  return {
    activeAlarms: () => store.machine.alarms.list(NONE).map(({ alarm }) => alarmName(alarm)),
    get hasLeader() {
      return raft.leader !== 0n;
    },
    get isLearner() {
      return membership.isLearner;
    },
    serializableRead: async () => {
      store.machine.kv.index.count('\0', '', store.machine.kv.currentRev);
    },
    linearizableRead: async () => {
      const error = await reads.whenLinearizable();
      if (error !== undefined) throw new Error(ETCD_ERRORS[error].message);
    },
  };
}

function healthMetrics({ metrics: { server } }: HttpSourceParts): HealthMetrics {
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
