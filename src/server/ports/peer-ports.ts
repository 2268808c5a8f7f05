// The ports where other members reach this one.
//
// They are bound before anything is written, so that an address that cannot be had costs nothing. Until
// the member serves, connections are closed at once, as if the port were closed: those that found a cluster
// together ask each other who is there, and none may wait for the other.

import type { ByteStream, Env, Listener, StreamAddress } from '../../env/index.ts';
import type { ListenUrl } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { bindAt, streamAddressOf } from './bind.ts';

type Accept = (stream: ByteStream) => void;

export class PeerPorts {
  readonly #listeners: Listener[] = [];
  #accept: Accept = turnAway;

  /** Binds everywhere. If one address cannot be had, none is kept, and the error names it. */
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

  /** In the order of the URLs; the chosen ports if 0 was asked for. */
  get addresses(): readonly StreamAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  serve(urls: readonly ListenUrl[], accept: Accept, log: Logger): void {
    this.#accept = accept;
    for (const { text } of urls) log.info('serving peer traffic', { address: text });
  }

  /** Nothing is accepted any more; streams that were live on. */
  async close(): Promise<void> {
    this.#accept = turnAway;
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }
}

function turnAway(stream: ByteStream): void {
  stream.handler = { onData: () => {}, onDrain: () => {}, onEnd: () => {}, onClose: () => {} };
  stream.destroy();
}
