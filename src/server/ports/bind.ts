// Binds an address; replaces a stale Unix socket.

import { ERROR_CODES, hasCode } from '../../base/index.ts';
import type { Env, StreamAddress } from '../../env/index.ts';
import type { ListenUrl } from '../config/index.ts';
import { SOCKET_PROBE_TIMEOUT_MS } from '../limits.ts';

export function streamAddressOf({ scheme, host, port, path }: ListenUrl): StreamAddress {
  const secure = scheme === 'https' || scheme === 'unixs' ? { secure: true } : {};
  return scheme === 'unix' || scheme === 'unixs'
    ? { host: '', port: 0, path, ...secure }
    : { host, port, ...secure };
}

/**
 * Binds with `bind`. The Unix socket of a killed process is replaced; one where a process accepts is in
 * use, as a port would be.
 */
export async function bindAt<T>(
  { disk, network }: Pick<Env, 'disk' | 'network'>,
  address: StreamAddress,
  bind: (address: StreamAddress) => Promise<T>,
): Promise<T> {
  try {
    return await bind(address);
  } catch (error) {
    if (address.path === undefined || !hasCode(error, ERROR_CODES.ALREADY_EXISTS)) throw error;
    if (await isServed(network, address)) throw error;
    await disk.remove(address.path);
    return bind(address);
  }
}

async function isServed(network: Env['network'], address: StreamAddress): Promise<boolean> {
  try {
    // In plaintext, regardless of the protocol: it only matters whether a process accepts.
    const plain = { ...address, secure: false };
    (await network.connect(plain, SOCKET_PROBE_TIMEOUT_MS)).destroy();
    return true;
  } catch {
    return false;
  }
}
