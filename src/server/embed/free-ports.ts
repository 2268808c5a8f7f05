// Ports for URLs that leave the choice to the system. A member's URLs are part of what it logs at
// its first start, so they are chosen before it exists: all are held until the last one is chosen,
// then released for the member to listen at.

import type { Listener, Network } from '../../env/index.ts';
import type { ConfigOptions, ListenUrl, ServerConfig } from '../config/index.ts';

const LISTEN_OPTIONS = [
  'listenPeerUrls',
  'listenClientUrls',
  'listenClientHttpUrls',
  'listenMetricsUrls',
] as const;

/** The options with a free port in place of each 0; `config` is what they say now. */
export async function withPorts(
  options: ConfigOptions,
  config: ServerConfig,
  network: Network,
): Promise<ConfigOptions> {
  const held: Listener[] = [];
  const chosen: Record<string, readonly string[]> = {};
  try {
    for (const option of LISTEN_OPTIONS) {
      if (config[option].some(isOpen)) chosen[option] = await urlsOf(config[option], network, held);
    }
    return { ...options, ...chosen };
  } finally {
    await Promise.all(held.map((listener) => listener.close()));
  }
}

function isOpen({ scheme, port }: ListenUrl): boolean {
  return scheme === 'http' && port === 0;
}

async function urlsOf(
  urls: readonly ListenUrl[],
  network: Network,
  held: Listener[],
): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const url of urls) {
    if (!isOpen(url)) {
      texts.push(url.text);
      continue;
    }
    const address = { host: url.host, port: 0 };
    const listener = await network.listen(address, (stream) => stream.destroy());
    held.push(listener);
    texts.push(url.text.replace(/:0*$/, `:${listener.address.port}`));
  }
  return texts;
}
