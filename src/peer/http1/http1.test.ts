import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latin1FromBytes } from '../../base/index.ts';
import type { ByteStream } from '../../env/index.ts';
import { SimWorld } from '../../env/sim/index.ts';
import { HttpFault } from './fault.ts';
import { MessageParser } from './parser.ts';
import { ServerConnection, type ServerExchange } from './server.ts';
import { frameChunk, textAnswer } from './write.ts';

const IO_TIMEOUT_MS = 5000;

interface Parsed {
  readonly lines: string[];
  body: string;
  trailers: string;
  completed: number;
}

function parse(pieces: Iterable<Uint8Array>, length: number | 'chunked'): Parsed {
  const parsed: Parsed = { lines: [], body: '', trailers: '', completed: 0 };
  const parser = new MessageParser({
    onHead: (line, headers) => {
      parsed.lines.push(line, ...[...headers].map(([name, value]) => `${name}=${value}`));
      return length;
    },
    onBody: (bytes) => {
      parsed.body += latin1FromBytes(bytes);
    },
    onComplete: (trailers) => {
      parsed.completed++;
      parsed.trailers = JSON.stringify([...trailers]);
    },
  });
  for (const piece of pieces) parser.feed(piece, 0);
  return parsed;
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

describe('a chunked message', () => {
  const text =
    'POST /x HTTP/1.1\r\nHost: a\r\nX:  b \r\nX: c\r\n\r\n' +
    '5\r\nhello\r\nA;note=1\r\n0123456789\r\n0\r\nDigest: d\r\n\r\n';
  const expected: Parsed = {
    lines: ['POST /x HTTP/1.1', 'host=a', 'x=b, c'],
    body: 'hello0123456789',
    trailers: '[["digest","d"]]',
    completed: 1,
  };

  test('is read in any pieces', () => {
    expect(parse([bytesOf(text)], 'chunked')).toEqual(expected);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (sizes) => {
        const pieces: Uint8Array[] = [];
        for (let at = 0, i = 0; at < text.length; i++) {
          const size = sizes[i % sizes.length]!;
          pieces.push(bytesOf(text.slice(at, at + size)));
          at += size;
        }
        expect(parse(pieces, 'chunked')).toEqual(expected);
      }),
    );
  });

  test('with any byte changed is refused or read, never worse', () => {
    for (let at = 0; at < text.length; at++) {
      const wrong = bytesOf(text);
      wrong[at]! ^= 0x81;
      try {
        parse([wrong], 'chunked');
      } catch (error) {
        expect(error).toBeInstanceOf(HttpFault);
      }
    }
  });

  test.each([
    ['a negative chunk', '-1\r\n'],
    ['a chunk longer than any', `${'f'.repeat(16)}\r\n`],
    ['a chunk that does not end', '1\r\nab\r\n'],
    ['an endless extension', `1;${'x'.repeat(1000)}`],
  ])('%s is refused', (_name, body) => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\n\r\n';
    expect(() => parse([bytesOf(head + body)], 'chunked')).toThrow(HttpFault);
  });
});

test('a chunk is framed around what was written', () => {
  const buffer = new Uint8Array(100);
  const data = bytesOf('0123456789abcdefg');
  buffer.set(data, 20 + 10);
  const end = 30 + data.length;
  const from = frameChunk(buffer, 20, end);
  expect(latin1FromBytes(buffer, from, end + 2)).toBe('11\r\n0123456789abcdefg\r\n');
});

/** A server whose handler is `serve`, and a raw connection to it. */
async function served(
  seed: number,
  serve: (exchange: ServerExchange) => void,
): Promise<{ world: SimWorld; stream: ByteStream; got: () => string; closed: () => boolean }> {
  const world = new SimWorld({ seed });
  const server = world.machine('server');
  await server.network.listen({ host: '', port: 80 }, (stream) => {
    new ServerConnection(stream, {
      env: server,
      ioTimeoutMs: IO_TIMEOUT_MS,
      onExchange: serve,
      onClosed: () => {},
    });
  });
  const client = world.machine('client');
  let text = '';
  let over = false;
  const stream = await world.scheduler.run(() =>
    client.network.connect({ host: 'server', port: 80 }, 1000),
  );
  stream.handler = {
    onData: (bytes) => {
      text += latin1FromBytes(bytes);
    },
    onDrain: () => {},
    onEnd: () => {
      over = true;
      stream.destroy();
    },
    onClose: () => {
      over = true;
    },
  };
  return { world, stream, got: () => text, closed: () => over };
}

const echo = (exchange: ServerExchange): void => {
  void exchange
    .takeBody()
    .collect(1000)
    .then(
      (body) => exchange.answer(textAnswer(200, `${exchange.head.path} ${body.length}`)),
      () => exchange.answer(textAnswer(413, 'too large')),
    );
};

describe('a server connection', () => {
  test('answers requests that come all at once, in order', async () => {
    const { world, stream, got } = await served(1, echo);
    let text = '';
    for (let i = 0; i < 50; i++) {
      text += `POST /${i} HTTP/1.1\r\nHost: a\r\nContent-Length: ${i}\r\n\r\n${'x'.repeat(i)}`;
    }
    stream.write(bytesOf(text));
    await world.scheduler.runUntil(() => got().includes('/49 49'), 4000);
    const bodies = [...got().matchAll(/\r\n\r\n(\S+ \d+)\n/g)].map((match) => match[1]);
    expect(bodies).toEqual(Array.from({ length: 50 }, (_, i) => `/${i} ${i}`));
  });

  test('tells a sender that waits to go on', async () => {
    const { world, stream, got } = await served(2, echo);
    stream.write(
      bytesOf('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n'),
    );
    await world.scheduler.runUntil(() => got() !== '', 1000);
    expect(got()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    stream.write(bytesOf('ab'));
    await world.scheduler.runUntil(() => got().includes('/ 2'), 1000);
  });

  test('a refusal before the body keeps the connection only if little is missing', async () => {
    const refuse = (exchange: ServerExchange): void => exchange.answer(textAnswer(403, 'no'));
    const small = await served(3, refuse);
    small.stream.write(bytesOf('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n'));
    await small.world.scheduler.runFor(100);
    small.stream.write(bytesOf('abcGET /b HTTP/1.1\r\nHost: a\r\n\r\n'));
    await small.world.scheduler.runFor(100);
    expect(small.got().match(/403 Forbidden/g)).toHaveLength(2);
    const large = await served(4, refuse);
    large.stream.write(bytesOf('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n'));
    await large.world.scheduler.runUntil(large.closed, 1000);
    expect(large.got()).toContain('Connection: close');
  });

  test('a body above its limit is refused', async () => {
    const { world, stream, got, closed } = await served(5, echo);
    stream.write(bytesOf('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'));
    stream.write(bytesOf(`800\r\n${'x'.repeat(0x800)}\r\n`));
    await world.scheduler.runUntil(closed, 2000);
    expect(got()).toContain('413 Request Entity Too Large');
  });

  test.each([
    ['says nothing', '', 0],
    ['sends its head drop by drop', 'GET / HTTP/1.1\r\nHost: a\r\n', 700],
    ['stops in its body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab', 0],
  ])('closes on one who %s', async (_name, text, pauseMs) => {
    const { world, stream, closed } = await served(6, echo);
    let at = 0;
    const drop = (): void => {
      if (at >= text.length) return;
      stream.write(bytesOf(text[at++]!));
      world.scheduler.after(pauseMs, drop);
    };
    if (pauseMs > 0) drop();
    else stream.write(bytesOf(text));
    await world.scheduler.runUntil(closed, IO_TIMEOUT_MS + 200);
  });

  test('survives noise', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const { world, stream, closed } = await served(seed, echo);
      const noise = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 300 }), {
        seed,
        numRuns: 1,
      });
      stream.write(noise[0]!);
      stream.write(bytesOf('\r\n\r\n\r\n'));
      await world.scheduler.runUntil(closed, IO_TIMEOUT_MS + 200);
    }
  });
});
