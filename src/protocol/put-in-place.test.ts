import { describe, expect, test } from 'vitest';
import { hasCode, seededRandom } from '../base/index.ts';
import { type PutRequest, PutRequestCodec } from './gen/code/etcdserverpb/kv.ts';
import { PutInPlace, readLoggedPut, readPutRequest } from './put-in-place.ts';
import { wasPlain } from './wire/generated-codec.ts';
import { mutated } from './wire/mutation.fixture.ts';

/** What was read: a message and whether it is plain, or the error's text. */
function outcome(read: () => PutRequest): unknown {
  try {
    const { key, value, lease, prevKv, ignoreValue, ignoreLease } = read();
    return [{ key, value, lease, prevKv, ignoreValue, ignoreLease }, wasPlain()];
  } catch (error) {
    if (!hasCode(error, 'MALFORMED') && !hasCode(error, 'NUMBER_TOO_LARGE')) throw error;
    return String(error);
  }
}

describe('a put in place', () => {
  test('is what the codec reads, of usual and unusual bytes', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const logged = new PutInPlace();
    let usual = 0;
    for (let i = 0; i < 1000; i++) {
      const length = (): number => [0, 1, 5, 127, 128, 300][random.below(6)]!;
      const request = PutRequestCodec.create({
        key: new Uint8Array(length()).fill(random.below(256)),
        value: new Uint8Array(length()).fill(random.below(256)),
        lease: random.below(4) === 0 ? BigInt(random.below(1000)) - 500n : 0n,
        prevKv: random.below(8) === 0,
        ignoreValue: random.below(8) === 0,
      });
      const whole = PutRequestCodec.encode(request);
      const other = random.below(3) === 0 ? mutated(whole, random, { invalid: true }) : whole;
      const bytes =
        random.below(10) === 0 ? other.subarray(0, random.below(other.length + 1)) : other;
      expect(
        outcome(() => readPutRequest(bytes)),
        `seed ${seed}`,
      ).toEqual(outcome(() => PutRequestCodec.decodeRequest(bytes)));
      const around = new Uint8Array(bytes.length + 9).fill(0x0a);
      around.set(bytes, 4);
      const end = 4 + bytes.length;
      const inLog = (): PutInPlace => {
        readLoggedPut(around, 4, end, logged);
        return logged;
      };
      expect(outcome(inLog), `seed ${seed}`).toEqual(
        outcome(() => PutRequestCodec.decode(around, 4, end)),
      );
      if (logged.acceptUsual(bytes, 0, bytes.length)) usual++;
    }
    expect(usual).toBeGreaterThan(150);
    expect(usual).toBeLessThan(900);
  });

  test('shares the bytes of what it was read from', () => {
    const bytes = PutRequestCodec.encode(
      PutRequestCodec.create({ key: Uint8Array.of(107), value: Uint8Array.of(1, 2) }),
    );
    const put = readPutRequest(bytes);
    expect([put.keyText(), put.keyLength, put.valueLength]).toEqual(['k', 1, 2]);
    expect(put.valueBytes).toBe(bytes);
    bytes[2] = 108;
    expect(put.keyText()).toBe('l');
    expect(put.key.buffer).toBe(bytes.buffer);
  });
});
