// Brings what is known of certificates and refused connections into the metrics page, at each scrape.

import type { Clock } from '../../env/index.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { MemberTls } from './member-tls.ts';

const DAY_MS = 86_400_000;

export function collectTlsMetrics(
  metrics: Metrics,
  tls: MemberTls | undefined,
  clock: Pick<Clock, 'wallMs'>,
): void {
  if (tls === undefined) return;
  const { rejectedConnections, certificateDays } = metrics.records.tls;
  metrics.onCollect(() => {
    for (const { endpoint, rejected, loaded } of tls.endpoints) {
      rejectedConnections.with(endpoint).value = rejected.value;
      for (const { path, notAfterMs } of loaded) {
        certificateDays.with(endpoint, path).value = (notAfterMs - clock.wallMs()) / DAY_MS;
      }
    }
  });
}
