// The simulated network: machines by name, listeners by port, and the faults between machines.
//
// A machine is reached by its name, and by itself also as `localhost`, `127.0.0.1` or `::1`. A cut
// between two machines holds everything back, as a broken cable does: streams stall and go on when it
// is healed; connects run into their time limit. `reset` breaks the streams as well.
//
// The names of machines have IP addresses, by which they are reached too; `setAddress` adds other names.

import { ERROR_CODES, invariant, type Random, TetcdError } from '../../base/index.ts';
import type { ByteStream, Listener, Network, ServiceHost, StreamAddress } from '../index.ts';
import type { Scheduler } from './scheduler.ts';
import type { Callable } from './sim-process.ts';
import { type Route, SimStream, type StreamWorld } from './sim-stream.ts';

/** How bytes travel from one machine to another. */
export interface LinkOptions {
  /** Time one way. */
  readonly delayMs: number;
  /** Up to this much more, by chance; order within a stream is kept. */
  readonly jitterMs: number;
  readonly bytesPerMs: number;
  /** Chance, for each piece sent, that the stream breaks. */
  readonly lossProbability: number;
}

/** A link of a local network that loses nothing. */
export const LINK_DEFAULTS: LinkOptions = {
  delayMs: 0.1,
  jitterMs: 0.05,
  bytesPerMs: 1_000_000,
  lossProbability: 0,
};

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);
const ANY_ADDRESS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);
const EPHEMERAL_PORT_FIRST = 49_152;
const IP_ADDRESS = /^[\d.]+$|^[\da-fA-F:.]*:[\da-fA-F:.]*$/;
/** Delay of the name service. */
const LOOKUP_MS = 1;

interface SimListener {
  readonly owner: Callable;
  readonly accept: (stream: ByteStream) => void;
}

/** The network of a world: machines by name, links, and their faults. */
export class SimNetwork implements StreamWorld {
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** By `machine:port` or `machine path`. */
  readonly #listeners = new Map<string, SimListener>();
  /** Streams that are not closed, with the process that owns each. */
  readonly #streams = new Map<SimStream, Callable>();
  readonly #cuts = new Set<string>();
  readonly #links = new Map<string, LinkOptions>();
  /** IP addresses by name: of every machine, and those that were set. */
  readonly #addresses = new Map<string, string>();
  /** Machines by IP address. */
  readonly #machines = new Map<string, string>();
  readonly #services = new Map<string, readonly ServiceHost[]>();
  #defaults = LINK_DEFAULTS;
  #nextPort = EPHEMERAL_PORT_FIRST;

  constructor(scheduler: Scheduler, random: Random) {
    this.scheduler = scheduler;
    this.random = random;
  }

  // --- faults ------------------------------------------------------------------------------------

  /** The options of every pair of machines that has none set. */
  setDefaults(options: Partial<LinkOptions>): void {
    this.#defaults = { ...this.#defaults, ...options };
  }

  /** For what `from` sends to `to`. */
  setLink(from: string, to: string, options: Partial<LinkOptions>): void {
    this.#links.set(pairKey(from, to), { ...this.#defaults, ...options });
  }

  /** Cuts the way from `from` to `to`. One direction only: cut twice for both. */
  cut(from: string, to: string): void {
    this.#cuts.add(pairKey(from, to));
  }

  /** Cuts every pair with one machine in each group, both ways. */
  partition(group: readonly string[], others: readonly string[]): void {
    for (const a of group) {
      for (const b of others) {
        this.cut(a, b);
        this.cut(b, a);
      }
    }
  }

  /** Ends all cuts. */
  heal(): void {
    this.#cuts.clear();
    for (const stream of this.#streams.keys()) stream.routeChanged();
  }

  /** Breaks every stream between the two machines, on both sides at once. */
  reset(a: string, b: string): void {
    for (const stream of [...this.#streams.keys()]) {
      const ends = [stream.machine, stream.peer.machine];
      if (ends.includes(a) && ends.includes(b)) stream.breakNow('reset (simulated)');
    }
    this.#forgetClosed();
  }

  /** The process is gone: its listeners vanish, its streams are reset. */
  abandon(owner: Callable): void {
    for (const [key, listener] of this.#listeners) {
      if (listener.owner === owner) this.#listeners.delete(key);
    }
    for (const [stream, streamOwner] of this.#streams) if (streamOwner === owner) stream.abandon();
    this.#forgetClosed();
  }

  route(from: string, to: string): Route {
    const link = this.#links.get(pairKey(from, to)) ?? this.#defaults;
    return { ...link, open: !this.#cuts.has(pairKey(from, to)) };
  }

  // --- names -------------------------------------------------------------------------------------

  /** The IP address of a machine. */
  addressOf(machine: string): string {
    const known = this.#addresses.get(machine);
    if (known !== undefined) return known;
    const number = this.#machines.size + 1;
    const address = `10.0.${number >> 8}.${number & 255}`;
    this.#addresses.set(machine, address);
    this.#machines.set(address, machine);
    return address;
  }

  /** What a name stands for from now on; undefined: nothing. */
  setAddress(name: string, address: string | undefined): void {
    if (address === undefined) this.#addresses.delete(name);
    else this.#addresses.set(name, address);
  }

  /** The answer to {@link Network.resolveService} from now on; undefined: none. */
  setService(name: string, hosts: readonly ServiceHost[] | undefined): void {
    if (hosts === undefined) this.#services.delete(name);
    else this.#services.set(name, hosts);
  }

  #resolveService(
    owner: Callable,
    name: string,
    timeoutMs: number,
  ): Promise<readonly ServiceHost[]> {
    return new Promise((resolve, reject) => {
      this.scheduler.after(Math.min(LOOKUP_MS, timeoutMs), () => {
        const hosts = this.#services.get(name);
        owner.enter(() => {
          if (hosts !== undefined) resolve(hosts);
          else {
            reject(new TetcdError(ERROR_CODES.UNAVAILABLE, `lookup ${name}: no such host`));
          }
        });
      });
    });
  }

  #machineAt(host: string, self: string): string {
    const address = this.#addresses.get(host) ?? host;
    return LOOPBACK.has(address) ? self : (this.#machines.get(address) ?? host);
  }

  #resolve(owner: Callable, host: string, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.scheduler.after(Math.min(LOOKUP_MS, timeoutMs), () => {
        const address = host === 'localhost' ? '127.0.0.1' : this.#addresses.get(host);
        owner.enter(() => {
          if (address !== undefined) resolve(address);
          else if (IP_ADDRESS.test(host)) resolve(host);
          else {
            const text = `lookup ${host}: the host name is unknown`;
            reject(new TetcdError(ERROR_CODES.UNAVAILABLE, text));
          }
        });
      });
    });
  }

  // --- what a machine sees -----------------------------------------------------------------------

  viewOf(machine: string, owner: Callable): Network {
    this.addressOf(machine);
    return {
      resolve: (host, timeoutMs) => this.#resolve(owner, host, timeoutMs),
      resolveService: (name, timeoutMs) => this.#resolveService(owner, name, timeoutMs),
      listen: (address, accept) => this.#listen(machine, owner, address, accept),
      connect: (address, timeoutMs) => this.#connect(machine, owner, address, timeoutMs),
    };
  }

  async #listen(
    machine: string,
    owner: Callable,
    asked: StreamAddress,
    accept: (stream: ByteStream) => void,
  ): Promise<Listener> {
    assertPlain(asked);
    const { host, path } = asked;
    if (path === undefined && !ANY_ADDRESS.has(host) && !LOOPBACK.has(host) && host !== machine) {
      const text = `listen on ${describe(asked)}: this machine lacks that address`;
      throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
    }
    const address = path === undefined && asked.port === 0 ? this.#withFreePort(asked) : asked;
    const key = listenerKey(machine, address);
    if (this.#listeners.has(key)) {
      const text = `listen on ${describe(address)}: the address is in use`;
      throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, text);
    }
    const listener: SimListener = { owner, accept };
    this.#listeners.set(key, listener);
    return {
      address,
      close: async () => {
        if (this.#listeners.get(key) === listener) this.#listeners.delete(key);
      },
    };
  }

  async #connect(
    machine: string,
    owner: Callable,
    address: StreamAddress,
    timeoutMs: number,
  ): Promise<ByteStream> {
    assertPlain(address);
    const target =
      address.path !== undefined || LOOPBACK.has(address.host)
        ? machine
        : this.#machineAt(address.host, machine);
    return new Promise((resolve, reject) => {
      let over = false;
      const refuse = (reason: string): void => {
        if (over) return;
        over = true;
        const text = `connect to ${describe(address)}: ${reason}`;
        owner.enter(() => reject(new TetcdError(ERROR_CODES.UNAVAILABLE, text)));
      };
      const limit = this.scheduler.after(timeoutMs, () => {
        refuse(`no connection within ${timeoutMs} ms`);
      });
      this.#hop(machine, target, () => {
        if (over) return;
        const listener = this.#listeners.get(listenerKey(target, address));
        const streams = listener && this.#accepted(machine, owner, target, address, listener);
        this.#hop(target, machine, () => {
          limit.cancel();
          if (streams === undefined) refuse('nothing listens there');
          else if (over) streams.client.destroy();
          else {
            over = true;
            owner.enter(() => resolve(streams.client));
          }
        });
        if (streams !== undefined) listener!.owner.enter(() => listener!.accept(streams.server));
      });
    });
  }

  #accepted(
    machine: string,
    owner: Callable,
    target: string,
    address: StreamAddress,
    listener: SimListener,
  ): { client: SimStream; server: SimStream } {
    const port = this.#takePort();
    const from = address.path === undefined ? describe({ host: machine, port }) : '@';
    const streams = SimStream.pair(
      this,
      { machine, process: owner, address: from },
      { machine: target, process: listener.owner, address: describe(address) },
    );
    this.#forgetClosed();
    this.#streams.set(streams.client, owner);
    this.#streams.set(streams.server, listener.owner);
    return streams;
  }

  /** Calls after the time one way, or never if the way is cut. */
  #hop(from: string, to: string, arrived: () => void): void {
    const route = this.route(from, to);
    if (!route.open) return;
    this.scheduler.after(route.delayMs, () => {
      if (this.route(from, to).open) arrived();
    });
  }

  #withFreePort(asked: StreamAddress): StreamAddress {
    return { host: asked.host, port: this.#takePort() };
  }

  #takePort(): number {
    invariant(this.#nextPort < 4_000_000_000, 'SimNetwork: out of ports');
    return this.#nextPort++;
  }

  #forgetClosed(): void {
    for (const stream of this.#streams.keys()) {
      if (stream.closed && stream.peer.closed) this.#streams.delete(stream);
    }
  }
}

function pairKey(from: string, to: string): string {
  return `${from} ${to}`;
}

function listenerKey(machine: string, address: StreamAddress): string {
  return address.path === undefined ? `${machine}:${address.port}` : `${machine} ${address.path}`;
}

function describe(address: StreamAddress): string {
  return address.path ?? `${address.host}:${address.port}`;
}

function assertPlain(address: StreamAddress): void {
  if (address.secure !== true) return;
  const text = `${describe(address)}: nothing is encrypted in a simulated world`;
  throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
}
