// `tetcd gateway start`: the settings of a gateway, checked as etcd does.

import type { Env, StreamAddress } from '../../../env/index.ts';
import { type GatewayEndpoint, type ProxyLog, startTcpGateway } from '../../../proxy/index.ts';
import { checkedConnect, discoveredEndpoints } from './discovered-endpoints.ts';
import type { GatewayFlags } from './gateway-flags.ts';
import { SettingsError } from './settings-error.ts';

/** For a name of the command line. */
const LOOKUP_TIMEOUT_MS = 10_000;
/** etcd's interval where none is given. */
const RETRY_DELAY_MS = 5 * 60_000;

/** Resolves when it listens, with what closes it. SettingsError for settings that make no sense. */
export async function startGateway(
  flags: GatewayFlags,
  env: Env,
  log: ProxyLog,
): Promise<() => Promise<void>> {
  const connect = () => checkedConnect(flags.discoverySrv, flags.trustedCaFile);
  const found = await discoveredEndpoints(flags, env, log, connect);
  const endpoints: readonly GatewayEndpoint[] =
    found.length > 0 ? found : flags.endpoints.map(endpointOf);
  const listen = listenAddress(flags.listenAddr);
  await refuseLoop(listen, endpoints, flags.listenAddr, env);
  if (endpoints.length === 0) throw new SettingsError('no endpoints found');
  const retryDelayMs = flags.retryDelay > 0 ? flags.retryDelay : RETRY_DELAY_MS;
  const gateway = await startTcpGateway({ listen, endpoints, retryDelayMs, env, log });
  return () => gateway.close();
}

/** `host:port` or a URL, of which scheme and path count for nothing. */
function endpointOf(text: string): GatewayEndpoint {
  const place = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)/i.exec(text)?.[1] ?? text;
  const parsed = hostAndPort(place);
  const port = Number(parsed?.port);
  if (parsed === undefined || !(port > 0)) {
    throw new SettingsError(`error parsing endpoint ${JSON.stringify(text)}`);
  }
  return { host: parsed.host, port };
}

function listenAddress(text: string): StreamAddress {
  const parsed = hostAndPort(text);
  if (parsed === undefined) throw new SettingsError(`failed to validate listen address: ${text}`);
  return { host: parsed.host, port: Number(parsed.port) };
}

function hostAndPort(text: string): { readonly host: string; readonly port: string } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = match?.[3];
  if (port === undefined || Number(port) > 65_535) return undefined;
  return { host: match?.[1] ?? match?.[2] ?? '', port };
}

/** A gateway that connects to itself would do so without end. */
async function refuseLoop(
  listen: StreamAddress,
  endpoints: readonly GatewayEndpoint[],
  listenText: string,
  { network }: Env,
): Promise<void> {
  const own = await network.resolve(listen.host || '0.0.0.0', LOOKUP_TIMEOUT_MS).catch(() => {
    throw new SettingsError(`failed to resolve listen host: ${listen.host}`);
  });
  for (const { host, port } of endpoints) {
    const address = await network.resolve(host, LOOKUP_TIMEOUT_MS).catch(() => {
      throw new SettingsError(`failed to resolve endpoint host: ${host}`);
    });
    if (port !== listen.port || address !== own) continue;
    const route = `${host}:${port}->${address}:${port}`;
    const why = `should not resolve to the gateway listen addr (${listenText})`;
    throw new SettingsError(`SRV or endpoint (${route}) ${why}`);
  }
}
