// The endpoints of the cluster: as given, or, at an interval, those of its member list.

import { parseEndpoint } from '../../client/index.ts';
import type { Timer, Timers } from '../../env/index.ts';
import type { Channel, Endpoint } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { SYNC_TIMEOUT_MS } from '../limits.ts';
import type { ProxyLog } from '../log.ts';

const memberList = etcdserverpb.ClusterService.methods.memberList;

/**
 * Endpoints from their texts. One without a scheme is encrypted if the proxy has TLS settings for the
 * cluster, or if another one is. INVALID_ARGUMENT names the text that is none.
 */
export function endpointsOf(texts: readonly string[], hasTls: boolean): readonly Endpoint[] {
  const parsed = texts.map(parseEndpoint);
  const otherwise = hasTls || parsed.some(({ secure }) => secure === true);
  return parsed.map(({ endpoint, secure = otherwise }) => ({
    ...endpoint,
    scheme: secure ? 'https' : 'http',
  }));
}

interface SyncOptions {
  readonly channel: Channel;
  readonly timers: Timers;
  readonly log: ProxyLog;
  readonly intervalMs: number;
  readonly hasTls: boolean;
}

export class EndpointSync {
  readonly #options: SyncOptions;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: SyncOptions) {
    this.#options = options;
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    const { timers, intervalMs } = this.#options;
    this.#timer = timers.after(intervalMs, () => {
      void this.#sync().then(() => {
        if (!this.#stopped) this.#schedule();
      });
    });
  }

  async #sync(): Promise<void> {
    const { channel, hasTls, log } = this.#options;
    try {
      const answer = await channel.request(
        memberList.path,
        memberList.request,
        memberList.request.create({ linearizable: true }),
        { timeoutMs: SYNC_TIMEOUT_MS },
      );
      const { members } = memberList.response.decode(answer);
      // As etcd's client: members that serve, and no learners.
      const serving = members.filter(({ name, isLearner }) => name !== '' && !isLearner);
      const urls = [...new Set(serving.flatMap(({ clientURLs }) => clientURLs))];
      if (urls.length > 0 && !this.#stopped) channel.setEndpoints(endpointsOf(urls, hasTls));
    } catch (error) {
      log.warn('cannot get the endpoints of the cluster', { error: error as Error });
    }
  }
}
