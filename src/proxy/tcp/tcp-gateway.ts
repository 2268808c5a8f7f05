// A TCP proxy before a cluster: every connection is joined to one endpoint, whatever it speaks. An
// endpoint that cannot be connected to is left out until a later attempt succeeds.

import { goDuration } from '../../base/index.ts';
import type {
  ByteStream,
  Entropy,
  Network,
  StreamAddress,
  Timer,
  Timers,
} from '../../env/index.ts';
import { ENDPOINT_CONNECT_TIMEOUT_MS, GATEWAY_CONNECTIONS_MAX } from '../limits.ts';
import type { ProxyLog } from '../log.ts';
import { EndpointPicker, type GatewayEndpoint, type PickedEndpoint } from './endpoint-picker.ts';
import { joinStreams } from './joined-streams.ts';

export type { GatewayEndpoint } from './endpoint-picker.ts';

interface TcpGatewayOptions {
  readonly listen: StreamAddress;
  /** At least one. */
  readonly endpoints: readonly GatewayEndpoint[];
  /** Interval at which endpoints that have failed are tried again, in milliseconds; above 0. */
  readonly retryDelayMs: number;
  readonly env: {
    readonly network: Network;
    readonly timers: Timers;
    readonly entropy: Entropy;
  };
  readonly log: ProxyLog;
}

interface TcpGateway {
  /** Where it listens, with the chosen port in place of 0. */
  readonly address: StreamAddress;
  /** Accepts no more, and closes all connections. */
  close(): Promise<void>;
}

/** Rejects as `Network.listen` does. */
export async function startTcpGateway(options: TcpGatewayOptions): Promise<TcpGateway> {
  const gateway = new Gateway(options);
  const { network } = options.env;
  const listener = await network.listen(options.listen, (stream) => void gateway.serve(stream));
  gateway.start();
  return {
    address: listener.address,
    close: async () => {
      await listener.close();
      gateway.close();
    },
  };
}

class Gateway {
  readonly #options: TcpGatewayOptions;
  readonly #picker: EndpointPicker;
  readonly #streams = new Set<ByteStream>();
  #connections = 0;
  #closed = false;
  #timer: Timer | undefined;

  constructor(options: TcpGatewayOptions) {
    this.#options = options;
    this.#picker = new EndpointPicker(options.endpoints, options.env.entropy);
  }

  start(): void {
    const endpoints = this.#picker.endpoints.map(({ name }) => name);
    this.#options.log.info('ready to proxy client requests', { endpoints });
    this.#scheduleMonitor();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const stream of this.#streams) stream.destroy();
  }

  async serve(stream: ByteStream): Promise<void> {
    let lost = false;
    const forget = (): void => {
      lost = true;
      this.#streams.delete(stream);
      this.#connections--;
    };
    this.#connections++;
    this.#streams.add(stream);
    // Input stays in the system until there is somebody to pass it on to.
    stream.pause();
    stream.handler = { onData() {}, onDrain() {}, onEnd() {}, onClose: forget };
    if (this.#closed || this.#connections > GATEWAY_CONNECTIONS_MAX) {
      stream.destroy();
      return;
    }
    const other = await this.#connect(() => lost || this.#closed);
    if (other === undefined || lost || this.#closed) {
      other?.destroy();
      stream.destroy();
      return;
    }
    this.#streams.add(other);
    joinStreams(stream, other, () => {
      this.#streams.delete(other);
      forget();
    });
    stream.resume();
  }

  /** A stream to the endpoint whose turn it is, or to the next one; undefined if all have failed. */
  async #connect(isOver: () => boolean): Promise<ByteStream | undefined> {
    const { network } = this.#options.env;
    while (!isOver()) {
      const endpoint = this.#picker.pick();
      if (endpoint === undefined) return undefined;
      try {
        const stream = await network.connect(endpoint, ENDPOINT_CONNECT_TIMEOUT_MS);
        // Its owner sets the handler in this turn.
        return stream;
      } catch (error) {
        this.#deactivate(endpoint, error as Error);
      }
    }
    return undefined;
  }

  #deactivate(endpoint: PickedEndpoint, error: Error): void {
    // Connections that failed together tell of it once.
    if (!endpoint.active) return;
    endpoint.active = false;
    this.#options.log.warn('deactivated endpoint', {
      address: endpoint.name,
      interval: this.#interval,
      error,
    });
  }

  #scheduleMonitor(): void {
    const { timers } = this.#options.env;
    this.#timer = timers.after(this.#options.retryDelayMs, () => {
      for (const endpoint of this.#picker.endpoints) {
        if (!endpoint.active) void this.#tryAgain(endpoint);
      }
      this.#scheduleMonitor();
    });
  }

  async #tryAgain(endpoint: PickedEndpoint): Promise<void> {
    const { env, log } = this.#options;
    const address = endpoint.name;
    try {
      const stream = await env.network.connect(endpoint, ENDPOINT_CONNECT_TIMEOUT_MS);
      stream.handler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
      stream.destroy();
      endpoint.active = true;
      log.info('activated', { address });
    } catch (error) {
      log.warn('failed to activate endpoint (stay inactive for another interval)', {
        address,
        interval: this.#interval,
        error: error as Error,
      });
    }
  }

  get #interval(): string {
    return goDuration(this.#options.retryDelayMs * 1e6);
  }
}
