// What every Network must do, run on the real and on the simulated one.

import { expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes } from '../base/index.ts';
import type { ByteStream, Listener, Network } from './index.ts';

/** A stream's owner that remembers what happened. */
export class Recorder {
  readonly stream: ByteStream;
  received = '';
  drains = 0;
  ended = false;
  closes = 0;
  error: Error | undefined;
  readonly #waiting: { holds: () => boolean; resolve: () => void }[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.handler = {
      onData: (bytes) => this.#note(() => (this.received += latin1FromBytes(bytes))),
      onDrain: () => this.#note(() => this.drains++),
      onEnd: () => this.#note(() => (this.ended = true)),
      onClose: (error) =>
        this.#note(() => {
          this.closes++;
          this.error = error;
        }),
    };
  }

  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ holds, resolve }));
  }

  #note(change: () => unknown): void {
    expect(this.closes).toBe(0);
    change();
    for (const waiter of this.#waiting) if (waiter.holds()) waiter.resolve();
  }
}

export interface NetworkUnderTest {
  readonly network: Network;
  /** A name under which the listener is reached. */
  readonly host: string;
}

interface Connection {
  readonly client: Recorder;
  readonly server: Recorder;
  readonly listener: Listener;
}

async function connected({ network, host }: NetworkUnderTest): Promise<Connection> {
  let accepted: (recorder: Recorder) => void;
  const server = new Promise<Recorder>((resolve) => {
    accepted = resolve;
  });
  const listener = await network.listen({ host, port: 0 }, (stream) =>
    accepted(new Recorder(stream)),
  );
  const client = new Recorder(await network.connect({ host, port: listener.address.port }, 5000));
  return { client, server: await server, listener };
}

async function closed(...recorders: Recorder[]): Promise<void> {
  for (const recorder of recorders) await recorder.until(() => recorder.closes > 0);
}

/** Declares the tests. */
export function networkContract(make: () => NetworkUnderTest): void {
  const text = bytesFromLatin1;

  test('bytes arrive in order, both ways, and half-closed streams still send', async () => {
    const { client, server, listener } = await connected(make());
    for (let i = 0; i < 100; i++) client.stream.write(text(`${i},`));
    const expected = Array.from({ length: 100 }, (_, i) => `${i},`).join('');
    await server.until(() => server.received.length === expected.length);
    expect(server.received).toBe(expected);
    client.stream.end();
    await server.until(() => server.ended);
    expect(client.closes).toBe(0);
    server.stream.write(text('answer'));
    server.stream.end();
    await closed(client, server);
    expect(client.received).toBe('answer');
    expect(client.ended).toBe(true);
    expect([client.error, server.error]).toEqual([undefined, undefined]);
    await listener.close();
  });

  test('a reader that pauses is felt, and nothing is lost', async () => {
    const { client, server, listener } = await connected(make());
    server.stream.pause();
    const piece = new Uint8Array(65_536).fill(97);
    const total = 200;
    let refused = false;
    for (let i = 0; i < total; i++) if (!client.stream.write(piece)) refused = true;
    expect(refused).toBe(true);
    expect(client.stream.bufferedBytes).toBeGreaterThan(0);
    server.stream.resume();
    await client.until(() => client.drains > 0);
    expect(client.stream.bufferedBytes).toBe(0);
    await server.until(() => server.received.length === total * piece.length);
    client.stream.end();
    server.stream.end();
    await closed(client, server);
    await listener.close();
  });

  test('what is released may be written over', async () => {
    const { client, server, listener } = await connected(make());
    let sent = '';
    for (let round = 0; round < 50; round++) {
      const piece = new Uint8Array(10_000).fill(97 + (round % 26));
      sent += String.fromCharCode(97 + (round % 26)).repeat(piece.length);
      client.stream.write(piece);
      if (client.stream.hasReleased === true) piece.fill(0x21);
    }
    await server.until(() => server.received.length >= sent.length);
    expect(server.received).toBe(sent);
    client.stream.end();
    server.stream.end();
    await closed(client, server);
    await listener.close();
  });

  test('destroy closes at once, here and there', async () => {
    const { client, server, listener } = await connected(make());
    const reason = new Error('no longer wanted');
    client.stream.destroy(reason);
    client.stream.destroy();
    await closed(client);
    expect(client.error).toBeDefined();
    await server.until(() => server.ended || server.closes > 0);
    server.stream.end();
    await closed(server);
    client.stream.write(text('into the void'));
    client.stream.end();
    expect(client.stream.bufferedBytes).toBe(0);
    await listener.close();
  });

  test('one who writes to a destroyed stream gets an error', async () => {
    const { client, server, listener } = await connected(make());
    client.stream.destroy();
    await server.until(() => server.ended || server.closes > 0);
    // Only a write that comes after the other side's reset meets it.
    for (let i = 0; i < 10_000 && server.closes === 0; i++) {
      server.stream.write(new Uint8Array(1000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(server.error).toMatchObject({ code: 'UNAVAILABLE' });
    expect(client.error).toBeUndefined();
    await listener.close();
  });

  test('addresses that are taken, silent or closed', async () => {
    const made = make();
    const { network, host } = made;
    const { client, server, listener } = await connected(made);
    const { port } = listener.address;
    expect(port).toBeGreaterThan(0);
    await expect(network.listen({ host, port }, () => {})).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await listener.close();
    await expect(network.connect({ host, port }, 5000)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    client.stream.write(text('still open'));
    await server.until(() => server.received === 'still open');
    client.stream.end();
    server.stream.end();
    await closed(client, server);
  });

  test('names have addresses, and addresses are their own', async () => {
    const { network, host } = make();
    expect(await network.resolve(host, 5000)).toBe(host);
    expect(await network.resolve('::1', 5000)).toBe('::1');
    expect(await network.resolve('localhost', 5000)).toMatch(/^(127\.0\.0\.1|::1)$/);
    await expect(network.resolve('no..such', 5000)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('lookup no..such'),
    });
  });
}
