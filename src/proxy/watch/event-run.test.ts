import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { etcdserverpb, mvccpb, watchIdField } from '../../protocol/index.ts';
import { EventRun, VARIANT } from './event-run.ts';
import { WATCH_RESPONSE_ENCODER, WatchResponse } from './response-encoder.ts';
import { WatchFrame } from './watch-frame.ts';

const { WatchResponseCodec, ResponseHeaderCodec } = etcdserverpb;
const SEED = 7;

const random = seededRandom(SEED);

function keyValue(revision: number): mvccpb.KeyValue {
  const bytes = (size: number) => Uint8Array.from({ length: size }, () => random.below(256));
  return mvccpb.KeyValueCodec.create({
    key: bytes(1 + random.below(5)),
    value: bytes(random.below(300)),
    createRevision: 1 + random.below(revision),
    modRevision: revision,
    version: random.below(5),
    lease: BigInt(random.below(3)),
  });
}

/** Events of ascending revisions, several of one at times. */
function randomEvents(count: number): mvccpb.Event[] {
  let revision = 1 + random.below(10_000);
  return Array.from({ length: count }, () => {
    revision += random.below(3);
    return mvccpb.EventCodec.create({
      type: random.below(2),
      kv: keyValue(revision),
      ...(random.below(2) === 0 ? {} : { prevKv: keyValue(revision) }),
    });
  });
}

/** What a watcher should get, from decoded events. */
function expected(events: readonly mvccpb.Event[], variant: number, from: number): mvccpb.Event[] {
  return events
    .filter((event) => event.kv!.modRevision >= from)
    .filter(({ type }) => (variant & (type === 1 ? VARIANT.NO_DELETE : VARIANT.NO_PUT)) === 0)
    .map((event) => ((variant & VARIANT.PREV_KV) !== 0 ? event : { ...event, prevKv: undefined }));
}

test('every variant from every revision is what the decoded events give', () => {
  for (let round = 0; round < 25; round++) {
    const events = randomEvents(1 + random.below(12));
    const header = ResponseHeaderCodec.create({
      clusterId: 2n ** 64n - 1n,
      memberId: 5n,
      revision: 9,
      raftTerm: 2,
    });
    const whole = WatchResponseCodec.create({ header, watchId: 3n, events });
    const frame = new WatchFrame(WatchResponseCodec.encode(whole));
    expect([frame.watchId, frame.revision]).toEqual([3, 9]);
    const run = new EventRun(frame.header, frame.events);
    expect([run.firstRevision, run.lastRevision]).toEqual([
      events[0]!.kv!.modRevision,
      events.at(-1)!.kv!.modRevision,
    ]);
    for (let variant = 0; variant < 8; variant++) {
      const slice = run.slice(variant);
      for (let from = run.firstRevision - 1; from <= run.lastRevision + 1; from++) {
        const first = slice.firstAt(from);
        const response = new WatchResponse().reset(run.header, watchIdField(77n));
        response.bytes = slice.bytes;
        response.start = slice.offsets[first]!;
        response.end = slice.offsets[slice.count]!;
        const size = WATCH_RESPONSE_ENCODER.size(response);
        const target = new Uint8Array(size + 2);
        expect(WATCH_RESPONSE_ENCODER.write(response, target, 1)).toBe(size + 1);
        const decoded = WatchResponseCodec.decode(target.subarray(1, size + 1));
        expect(decoded.watchId, `seed ${SEED}, round ${round}`).toBe(77n);
        expect(decoded.header).toEqual(header);
        expect(decoded.events).toEqual(expected(events, variant, from));
      }
    }
  }
});

test('an envelope has everything that a response can say', () => {
  const cases = [
    { watchId: -1n, created: true, canceled: true, cancelReason: 'no é' },
    { watchId: 2n ** 40n, canceled: true, compactRevision: 2 ** 40 },
    { watchId: 0n, fragment: true },
  ];
  for (const init of cases) {
    const bytes = WatchResponseCodec.encode(WatchResponseCodec.create(init));
    const frame = new WatchFrame(bytes);
    expect(frame.watchId).toBe(Number(init.watchId));
    const response = new WatchResponse().reset(frame.header, watchIdField(init.watchId));
    response.created = frame.created;
    response.canceled = frame.canceled;
    response.compactRevision = frame.compactRevision;
    response.cancelReason = frame.cancelReason;
    response.fragment = frame.fragment;
    const target = new Uint8Array(WATCH_RESPONSE_ENCODER.size(response));
    WATCH_RESPONSE_ENCODER.write(response, target, 0);
    expect(target).toEqual(bytes);
  }
});

test('bytes that are no watch response are refused, wherever they are cut', () => {
  const bytes = WatchResponseCodec.encode(WatchResponseCodec.create({ events: randomEvents(3) }));
  for (let length = 1; length < bytes.length; length++) {
    // A cut between two events is no damage.
    try {
      const frame = new WatchFrame(bytes.subarray(0, length));
      new EventRun(frame.header, frame.events);
    } catch (error) {
      expect(error).toMatchObject({ code: 'MALFORMED' });
    }
  }
  expect(() => new WatchFrame(Uint8Array.of(0x0b))).toThrow('cut off');
});
