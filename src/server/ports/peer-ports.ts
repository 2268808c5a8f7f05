// The peer ports of a member.
//
// They are bound before anything is written, so that an unavailable address has no effect. Until the member
// serves, connections are closed immediately, as if the port were closed: founders of a cluster send each
// other requests at their start, and must not wait for each other.

import type { ByteStream, Env, Listener, StreamAddress } from '../../env/index.ts';
import type { ListenUrl } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { bindAt, streamAddressOf } from './bind.ts';

type Accept = (stream: ByteStream) => void;

export class PeerPorts {
  readonly #listeners: Listener[] = [];
  #accept: Accept = turnAway;

  /** Binds all addresses. If one fails, the others are closed, and the error names it. */
  static async bind(
    env: Pick<Env, 'disk' | 'network'>,
    urls: readonly ListenUrl[],
    log: Logger,
  ): Promise<PeerPorts> {
    log.info('configuring peer listeners', { 'listen-peer-urls': urls.map(({ text }) => text) });
    const ports = new PeerPorts();
    const bind = (address: Listener['address']) =>
      env.network.listen(address, (stream) => ports.#accept(stream));
    try {
      for (const url of urls) ports.#listeners.push(await bindAt(env, streamAddressOf(url), bind));
      return ports;
    } catch (error) {
      await ports.close();
      throw error;
    }
  }

  private constructor() {}

  /** Addresses in the order of the URLs, with the ports chosen for 0. */
  get addresses(): readonly StreamAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  serve(urls: readonly ListenUrl[], accept: Accept, log: Logger): void {
    this.#accept = accept;
    for (const { text } of urls) log.info('serving peer traffic', { address: text });
  }

  /** Stops accepting; open streams are not affected. */
  async close(): Promise<void> {
    this.#accept = turnAway;
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }
}

function turnAway(stream: ByteStream): void {
  stream.handler = { onData: () => {}, onDrain: () => {}, onEnd: () => {}, onClose: () => {} };
  stream.destroy();
}
