// Buffers are used again, and no message ever reads what belongs to another.

import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import type { Server } from '../server/server-types.ts';
import {
  data,
  headers,
  join,
  message,
  type RawServer,
  rawServer,
  request,
  reset,
} from '../testing/raw-peer.fixture.ts';

const FRAME_BYTES_MAX = 16_384;
const seed = Number(process.env['TETCD_SEED'] ?? Date.now() % 1_000_000);

/** A request of one message in frames of any size. */
class Upload {
  readonly id: number;
  readonly body: Uint8Array;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(id: number, body: Uint8Array) {
    this.id = id;
    this.body = body;
    this.#bytes = message(body);
  }

  get isSent(): boolean {
    return this.#at === this.#bytes.length;
  }

  next(size: number): Uint8Array {
    const end = Math.min(this.#at + size, this.#bytes.length);
    const part = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return data(this.id, part, this.isSent ? 1 : 0);
  }
}

/** A peer whose server notes what it was sent by the id that each message begins with. */
class Peer {
  readonly seen = new Map<number, Uint8Array>();
  readonly sent = new Map<number, Uint8Array>();
  readonly #peer: RawServer;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #uploads: Upload[] = [];
  #nextId = 1;
  #unsent = new Uint8Array(0);

  constructor(random: ReturnType<typeof seededRandom>) {
    this.#random = random;
    this.#peer = rawServer((server: Server) => {
      server.unary('/test.Echo/Unary', (_call, bytes) => {
        this.seen.set(bytes[0]! * 256 + bytes[1]!, Uint8Array.from(bytes));
      });
    });
  }

  /** Another piece of another request, cut where no frame ends. */
  step(): void {
    const random = this.#random;
    const parts: Uint8Array[] = [this.#unsent];
    if (this.#uploads.length < 4) parts.push(this.#begin());
    for (let n = random.below(4); n >= 0; n--) {
      const at = random.below(this.#uploads.length);
      const upload = this.#uploads[at]!;
      if (random.below(40) === 0) {
        parts.push(reset(upload.id, 8));
        this.#uploads.splice(at, 1);
      } else {
        parts.push(upload.next(1 + random.below(FRAME_BYTES_MAX)));
        if (upload.isSent) this.#finish(at);
      }
      if (this.#uploads.length === 0) break;
    }
    const all = join(...parts);
    const cut = random.below(all.length + 1);
    this.#unsent = all.slice(cut);
    this.#peer.send(all.slice(0, cut));
    this.#peer.frames();
  }

  end(): void {
    while (this.#uploads.length > 0 || this.#unsent.length > 0) {
      const parts = this.#uploads.map((upload) => upload.next(FRAME_BYTES_MAX));
      for (let at = this.#uploads.length - 1; at >= 0; at--) {
        if (this.#uploads[at]!.isSent) this.#finish(at);
      }
      this.#peer.send(this.#unsent, ...parts);
      this.#unsent = new Uint8Array(0);
    }
  }

  #begin(): Uint8Array {
    const body = new Uint8Array(2 + this.#random.below(120_000));
    body.fill(this.#random.below(256));
    body[0] = this.#nextId >>> 8;
    body[1] = this.#nextId & 255;
    const upload = new Upload(this.#nextId, body);
    this.#nextId += 2;
    this.#uploads.push(upload);
    return headers(upload.id, request([':path', '/test.Echo/Unary']));
  }

  #finish(at: number): void {
    const [upload] = this.#uploads.splice(at, 1);
    this.sent.set(upload!.id, upload!.body);
  }
}

test(`requests in pieces on many connections stay apart (TETCD_SEED=${seed})`, () => {
  const random = seededRandom(seed);
  const peers = Array.from({ length: 5 }, () => new Peer(random));
  for (let round = 0; round < 1_500; round++) peers[random.below(peers.length)]!.step();
  for (const peer of peers) {
    peer.end();
    expect([...peer.seen.keys()].sort()).toEqual([...peer.sent.keys()].sort());
    for (const [id, body] of peer.sent) {
      expect(Buffer.compare(peer.seen.get(id)!, body), `message ${id}`).toBe(0);
    }
  }
});
