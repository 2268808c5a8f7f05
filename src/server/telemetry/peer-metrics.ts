import type { PeerMetrics } from '../../peer/index.ts';
import type { ServerMetrics } from './metrics-table.ts';

/** The metrics of the peer transport. */
export function peerMetricsOf(network: ServerMetrics['network']): PeerMetrics {
  return {
    activePeers: (local, remote) => network.activePeers.with(local, remote),
    disconnectedPeers: (local, remote) => network.disconnectedPeers.with(local, remote),
    sentBytes: (to) => network.peerSentBytes.with(to),
    receivedBytes: (from) => network.peerReceivedBytes.with(from),
    sentFailures: (to) => network.peerSentFailures.with(to),
    receivedFailures: (from) => network.peerReceivedFailures.with(from),
    roundTripSeconds: (to) => network.peerRoundTripSeconds.with(to),
    snapshotSendSuccess: (to) => network.snapshotSendSuccess.with(to),
    snapshotSendFailures: (to) => network.snapshotSendFailures.with(to),
    snapshotSendInflight: (to) => network.snapshotSendInflight.with(to),
    snapshotSendSeconds: (to) => network.snapshotSendSeconds.with(to),
    snapshotReceiveSuccess: (from) => network.snapshotReceiveSuccess.with(from),
    snapshotReceiveFailures: (from) => network.snapshotReceiveFailures.with(from),
    snapshotReceiveInflight: (from) => network.snapshotReceiveInflight.with(from),
    snapshotReceiveSeconds: (from) => network.snapshotReceiveSeconds.with(from),
  };
}
