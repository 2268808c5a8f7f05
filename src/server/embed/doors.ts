// Where a member inside a program listens. Addresses are bound before the settings are final, since the
// ports that the system chooses for 0 become part of its URLs, and those of what it logs first.

import type { ByteStream, Env, Listener, StreamAddress } from '../../env/index.ts';
import type { Server } from '../../grpc/index.ts';
import {
  type Built,
  type ConfigOptions,
  configFromOptions,
  type ListenUrl,
  type ServerConfig,
} from '../config/index.ts';
import { streamAddressOf } from '../ports/bind.ts';
import { bindPorts, givingUp, type Ports } from '../ports/ports.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ClientPortsTls } from '../tls/member-tls.ts';

export interface Doors {
  readonly ports: Ports;
  /** On a network of the program's, which the member's own ports know nothing of. */
  readonly clients: NetworkClients | undefined;
}

/** Binds everywhere, clients on `env.network` if that `isForeign`. If one fails, none is kept. */
export async function bindDoors(
  config: ServerConfig,
  env: Env,
  log: Logger,
  { isForeign, tls }: { readonly isForeign: boolean; readonly tls: ClientPortsTls | undefined },
): Promise<Doors> {
  const ports = await bindPorts({ config, env, log, tls, listen: !isForeign });
  if (!isForeign) return { ports, clients: undefined };
  const binding = NetworkClients.bind(env, config.listenClientUrls);
  return { ports, clients: await binding.catch(givingUp(ports)) };
}

/** The settings at the addresses that were bound; `config` is what the options said before. */
export async function settingsAt(
  options: ConfigOptions,
  config: ServerConfig,
  doors: Doors,
): Promise<Built> {
  try {
    return configFromOptions(withPorts(options, config, doors));
  } catch (error) {
    return givingUp(doors.ports)(error);
  }
}

/** The options with the chosen port in place of each 0. */
function withPorts(
  options: ConfigOptions,
  config: ServerConfig,
  { ports: { peers, listeners }, clients }: Doors,
): ConfigOptions {
  const bound = {
    listenPeerUrls: peers.addresses,
    listenClientUrls: clients?.addresses ?? listeners?.clientAddresses ?? [],
    listenClientHttpUrls: listeners?.clientHttpAddresses ?? [],
    listenMetricsUrls: listeners?.metricsAddresses ?? [],
  };
  const chosen = Object.entries(bound).flatMap(([option, addresses]) => {
    const urls = config[option as keyof typeof bound];
    return urls.some(leavesChoice) ? [[option, urls.map(withPortOf(addresses))]] : [];
  });
  return { ...options, ...Object.fromEntries(chosen) };
}

function leavesChoice({ scheme, port }: ListenUrl): boolean {
  return scheme.startsWith('http') && port === 0;
}

function withPortOf(addresses: readonly StreamAddress[]): (url: ListenUrl, at: number) => string {
  return (url, at) =>
    leavesChoice(url) ? url.text.replace(/:0*$/, `:${addresses[at]!.port}`) : url.text;
}

/** Clients on a network that is no socket. Connections are closed at once until it serves. */
export class NetworkClients {
  readonly #listeners: Listener[] = [];
  #accept: (stream: ByteStream) => void = (stream) => stream.destroy();

  static async bind({ network }: Env, urls: readonly ListenUrl[]): Promise<NetworkClients> {
    const clients = new NetworkClients();
    const accept = (stream: ByteStream): void => clients.#accept(stream);
    try {
      for (const url of urls) {
        clients.#listeners.push(await network.listen(streamAddressOf(url), accept));
      }
      return clients;
    } catch (error) {
      await clients.close();
      throw error;
    }
  }

  get addresses(): readonly StreamAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  serve(grpc: Server): void {
    this.#accept = (stream) => grpc.accept(stream);
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }
}
