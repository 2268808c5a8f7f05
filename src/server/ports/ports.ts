// All ports of a member, bound before anything else is done.

import { Listeners, type ListenersOptions } from './listeners.ts';
import { PeerPorts } from './peer-ports.ts';

export interface Ports {
  readonly peers: PeerPorts;
  /** Undefined for a member inside a program. */
  readonly listeners: Listeners | undefined;
}

/** Binds in etcd's order. If one address fails, the others are closed, and the error names it. */
export async function bindPorts(
  options: ListenersOptions & { readonly listen?: boolean },
): Promise<Ports> {
  const peers = await PeerPorts.bind(options.env, options.config.listenPeerUrls, options.log);
  if (options.listen === false) return { peers, listeners: undefined };
  try {
    return { peers, listeners: await Listeners.bind(options) };
  } catch (error) {
    await peers.close();
    throw error;
  }
}

/** Handler of a failed start: closes the ports and throws the failure on. */
export function givingUp({ peers, listeners }: Ports): (error: unknown) => Promise<never> {
  return async (error) => {
    await Promise.all([peers.close(), listeners?.close()]);
    throw error;
  };
}
