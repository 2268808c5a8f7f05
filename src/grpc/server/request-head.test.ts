import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { encodedFieldMax, HpackEncoder, INDEXING } from '../hpack/index.ts';
import { FLAG, FRAME } from '../http2/protocol.ts';
import { BYTES_ENCODER } from '../message-encoder.ts';
import { data, frame, message, rawServer } from '../testing/raw-peer.fixture.ts';

const FIXED = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/test.Echo/Unary'],
  [':authority', 'host:1'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
] as const;

test.each([1, 2, 3, 4])('each call has its own timeout and metadata, seed %i', (seed) => {
  const random = seededRandom(seed);
  const seen: unknown[] = [];
  const peer = rawServer((server) => {
    server.unary('/test.Echo/Unary', (call) => {
      seen.push([call.deadlineMs, call.metadata.get('x-trace')]);
      call.reply(BYTES_ENCODER, new Uint8Array(1));
    });
  });
  const encoder = new HpackEncoder();
  const expected: unknown[] = [];
  for (let i = 0; i < 400; i++) {
    const timeout = random.below(5) === 0 ? undefined : 1 + random.below(4);
    const trace = random.below(3) === 0 ? `t${random.below(3)}` : undefined;
    const fields: (readonly [string, string])[] = [...FIXED];
    if (timeout !== undefined) fields.push(['grpc-timeout', `${timeout}S`]);
    if (trace !== undefined) fields.splice(4 + random.below(3), 0, ['x-trace', trace]);
    let room = 16;
    for (const [name, value] of fields) room += encodedFieldMax(name, value);
    const block = new Uint8Array(room);
    let end = encoder.begin(block, 0);
    for (const [name, value] of fields) {
      const mostly = random.below(8) === 0 ? INDEXING.NO : INDEXING.YES;
      end = encoder.field(name, value, mostly, block, end);
    }
    const id = 2 * i + 1;
    peer.send(
      frame(FRAME.HEADERS, FLAG.END_HEADERS, id, block.subarray(0, end)),
      data(id, message([1, 2, 3])),
    );
    const deadline =
      timeout === undefined ? Number.POSITIVE_INFINITY : peer.time.nowMs + timeout * 1000;
    expected.push([deadline, trace]);
    peer.time.advance(1 + random.below(20));
  }
  expect(seen).toEqual(expected);
});
