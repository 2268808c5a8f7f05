// The connections between peers, led through this process so that they can be cut, held and slowed.
//
//   member A ──► gate of B ──► member B        B advertises its gate, not itself
//
// A member advertises one URL to all others, so a gate takes the connections of all of them. Which
// member has opened one is read from the system's table of sockets (Linux). A connection then
// belongs to an ordered pair, and its bytes to the links A→B and B→A, regardless of who opened it.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What happens to the bytes from one member to another. */
interface Link {
  /** Connections are reset, new ones too. */
  cut: boolean;
  /** Bytes are held back, not lost: as under packet loss, TCP brings them when the link heals. */
  blocked: boolean;
  delayMs: number;
  bytesPerSecond: number;
  /** When the link is through with all it took, for `bytesPerSecond`. */
  freeAt: number;
}

export interface Slowness {
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
}

/** Held bytes of one connection and direction; then we stop reading, as a full socket would. */
const HELD_BYTES_MAX = 4 << 20;
/** The table changes while it is read, and a row may be missed. */
const LOOKS = 3;

interface Gate {
  readonly server: Server;
  readonly port: number;
  readonly targetPort: number;
  pid: number | undefined;
}

interface Connection {
  readonly from: string | undefined;
  readonly to: string;
  readonly near: Socket;
  readonly far: Socket;
  readonly pumps: readonly [Pump, Pump];
}

export class PeerLinks {
  readonly #gates = new Map<string, Gate>();
  readonly #links = new Map<string, Link>();
  readonly #connections = new Set<Connection>();

  /** Opens the gate of a member whose peer listener is at `targetPort`; returns the gate's port. */
  async open(name: string, targetPort: number): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(name, socket),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { port: number };
    this.#gates.set(name, { server, port, targetPort, pid: undefined });
    return port;
  }

  /** Tells which process a member is now. */
  setProcess(name: string, pid: number | undefined): void {
    const gate = this.#gates.get(name);
    if (gate !== undefined) gate.pid = pid;
  }

  /** No connection between the two any more, neither way. */
  cut(a: string, b: string): void {
    this.#link(a, b).cut = true;
    this.#link(b, a).cut = true;
    this.reset(a, b);
  }

  /** Resets what is between the two now. */
  reset(a: string, b: string): void {
    for (const one of [...this.#connections]) {
      const isBetween = (one.from === a && one.to === b) || (one.from === b && one.to === a);
      if (isBetween) this.#drop(one);
    }
  }

  /** Holds all bytes one way; connections stay open and new ones are accepted. */
  block(from: string, to: string): void {
    this.#link(from, to).blocked = true;
  }

  slow(from: string, to: string, slowness: Slowness): void {
    const link = this.#link(from, to);
    link.delayMs = slowness.delayMs ?? 0;
    link.bytesPerSecond = slowness.bytesPerSecond ?? Number.POSITIVE_INFINITY;
  }

  /** Cuts `name` off from all others, or these. */
  isolate(name: string, others: Iterable<string> = this.#gates.keys()): void {
    for (const other of others) if (other !== name) this.cut(name, other);
  }

  /** Every link is as new; what was held is delivered. */
  heal(): void {
    for (const link of this.#links.values()) {
      Object.assign(link, freshLink());
    }
    for (const { pumps } of this.#connections) for (const pump of pumps) pump.go();
  }

  async close(): Promise<void> {
    for (const one of [...this.#connections]) this.#drop(one);
    for (const { server } of this.#gates.values()) {
      await new Promise((resolve) => server.close(resolve));
    }
    this.#gates.clear();
  }

  #link(from: string, to: string): Link {
    const key = `${from} ${to}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = freshLink();
      this.#links.set(key, link);
    }
    return link;
  }

  #accept(to: string, near: Socket): void {
    near.on('error', () => {});
    const gate = this.#gates.get(to)!;
    const from = this.#whoOpened(near.remotePort ?? 0, gate.port);
    const there = this.#link(from ?? '', to);
    const back = this.#link(to, from ?? '');
    if (there.cut || back.cut) {
      near.resetAndDestroy();
      return;
    }
    const far = connect({
      ...{ host: '127.0.0.1', port: gate.targetPort, allowHalfOpen: true, noDelay: true },
    });
    far.on('error', () => near.resetAndDestroy());
    const pumps = [new Pump(near, far, there), new Pump(far, near, back)] as const;
    const connection: Connection = { from, to, near, far, pumps };
    this.#connections.add(connection);
    for (const socket of [near, far]) {
      socket.on('close', (hadError) => {
        if (hadError) this.#drop(connection);
        if (near.destroyed && far.destroyed) this.#connections.delete(connection);
      });
    }
  }

  #drop(connection: Connection): void {
    this.#connections.delete(connection);
    for (const pump of connection.pumps) pump.stop();
    connection.near.resetAndDestroy();
    connection.far.resetAndDestroy();
  }

  /** The member whose socket leads from one port to the other; undefined for strangers. */
  #whoOpened(port: number, gatePort: number): string | undefined {
    for (let attempt = 0; attempt < LOOKS; attempt++) {
      const inode = inodeOf(port, gatePort);
      if (inode === undefined) continue;
      for (const [name, { pid }] of this.#gates) {
        if (pid !== undefined && hasSocket(pid, inode)) return name;
      }
    }
    return undefined;
  }
}

function freshLink(): Link {
  return {
    ...{ cut: false, blocked: false, delayMs: 0, freeAt: 0 },
    bytesPerSecond: Number.POSITIVE_INFINITY,
  };
}

interface Held {
  /** Undefined is the end of the stream. */
  readonly chunk: Buffer | undefined;
  readonly dueAt: number;
}

/** One direction of one connection. */
class Pump {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #link: Link;
  readonly #held: Held[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #sinkIsFull = false;

  constructor(source: Socket, sink: Socket, link: Link) {
    this.#source = source;
    this.#sink = sink;
    this.#link = link;
    source.on('data', (chunk: Buffer) => this.#take(chunk));
    source.on('end', () => this.#take(undefined));
    sink.on('drain', () => {
      this.#sinkIsFull = false;
      this.go();
    });
    sink.on('close', () => this.stop());
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#held.length = 0;
  }

  /** Passes on what may pass; called again when something has changed. */
  go(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (!this.#stopped && !this.#link.blocked && !this.#sinkIsFull) {
      const next = this.#held[0];
      if (next === undefined) break;
      const wait = Math.max(next.dueAt, this.#link.freeAt) - performance.now();
      if (wait > 0.5) {
        this.#timer = setTimeout(() => this.go(), wait);
        break;
      }
      this.#held.shift();
      this.#pass(next.chunk);
    }
    if (this.#heldBytes < HELD_BYTES_MAX && this.#source.isPaused()) this.#source.resume();
  }

  #take(chunk: Buffer | undefined): void {
    if (this.#stopped) return;
    this.#held.push({ chunk, dueAt: performance.now() + this.#link.delayMs });
    this.#heldBytes += chunk?.length ?? 0;
    if (this.#heldBytes >= HELD_BYTES_MAX) this.#source.pause();
    if (this.#timer === undefined) this.go();
  }

  #pass(chunk: Buffer | undefined): void {
    if (chunk === undefined) {
      this.#sink.end();
      return;
    }
    this.#heldBytes -= chunk.length;
    const { bytesPerSecond } = this.#link;
    if (Number.isFinite(bytesPerSecond)) {
      const start = Math.max(performance.now(), this.#link.freeAt);
      this.#link.freeAt = start + (chunk.length / bytesPerSecond) * 1000;
    }
    this.#sinkIsFull = !this.#sink.write(chunk);
  }
}

/** Of the loopback socket that is connected from one port to the other. */
function inodeOf(from: number, to: number): string | undefined {
  const wanted = `${inTable(from)} ${inTable(to)} `;
  const text = readFileSync('/proc/net/tcp', 'latin1');
  const start = text.indexOf(wanted);
  if (start < 0) return undefined;
  const fields = text.slice(start, text.indexOf('\n', start)).split(/\s+/);
  return fields[8];
}

function inTable(port: number): string {
  return `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

function hasSocket(pid: number, inode: string): boolean {
  const wanted = `socket:[${inode}]`;
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === wanted;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
