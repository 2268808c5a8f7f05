import { expect, test } from 'vitest';
import type { Timer } from '../../env/index.ts';
import { GrpcStatusError, STATUS, type StatusCode } from '../../grpc/index.ts';
import {
  SPAN_BATCH_DELAY_MS,
  SPAN_BATCH_MAX,
  SPAN_CLOSE_TIMEOUT_MS,
  SPAN_EXPORT_TRIES_MAX,
  SPANS_QUEUED_MAX,
} from '../limits.ts';
import { SPAN_KINDS, Span } from './span.ts';
import { SpanExporter } from './span-exporter.ts';

const span = (): Span =>
  new Span(
    {
      ...{ traceId: new Uint8Array(16), spanId: new Uint8Array(8), parentId: new Uint8Array(0) },
      ...{ traceState: '', isRemote: false, scope: 's', name: 'n', kind: SPAN_KINDS.INTERNAL },
      startMs: 0,
    },
    {},
  );

/** An exporter with timers that run when told, and a collector that answers when told. */
class Rig {
  readonly lines: string[] = [];
  readonly asked: { answer(status?: StatusCode): void }[] = [];
  isClosed = false;
  readonly #timers = new Map<object, { readonly delayMs: number; readonly run: () => void }>();
  readonly exporter: SpanExporter;

  constructor() {
    const note = (text: string): void => void this.lines.push(text);
    this.exporter = new SpanExporter({
      channel: {
        request: () =>
          new Promise((resolve, reject) => {
            const answer = (status: StatusCode = STATUS.OK): void => {
              if (status === STATUS.OK) resolve(new Uint8Array(0));
              else reject(new GrpcStatusError(status, 'no'));
            };
            this.asked.push({ answer });
          }),
        close: () => {
          this.isClosed = true;
          for (const { answer } of this.asked) answer(STATUS.CANCELED);
        },
      },
      env: {
        clock: { wallMs: () => 0, monotonicMs: () => 0 },
        timers: {
          after: (delayMs, run): Timer => {
            const key = {};
            this.#timers.set(key, { delayMs, run });
            return { cancel: () => void this.#timers.delete(key) };
          },
          atEndOfTurn: () => expect.unreachable(),
          nextTurn: () => expect.unreachable(),
        },
      },
      log: { warn: note, info: note },
      resource: { 'service.name': 'x' },
    });
  }

  push(count: number): void {
    for (let i = 0; i < count; i++) this.exporter.push(span());
  }

  /** The delays that are waited for; then they are over. */
  async pass(): Promise<number[]> {
    const due = [...this.#timers.values()];
    this.#timers.clear();
    for (const { run } of due) run();
    await this.settle();
    return due.map(({ delayMs }) => delayMs);
  }

  /** Answers the newest request. */
  async answer(status?: StatusCode): Promise<void> {
    this.asked.at(-1)!.answer(status);
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }
}

test('spans are sent together, after a while or when a batch is full', async () => {
  const rig = new Rig();
  rig.push(3);
  expect(rig.asked).toHaveLength(0);
  expect(await rig.pass()).toEqual([SPAN_BATCH_DELAY_MS]);
  expect(rig.asked).toHaveLength(1);
  await rig.answer();
  rig.push(SPAN_BATCH_MAX);
  expect(rig.asked).toHaveLength(2);
  expect(rig.exporter.droppedCount).toBe(0);
});

test('while the collector stalls, as many spans wait as may, and the rest is counted', async () => {
  const rig = new Rig();
  rig.push(SPAN_BATCH_MAX);
  await rig.settle();
  rig.push(SPANS_QUEUED_MAX + 7);
  expect(rig.asked).toHaveLength(1);
  expect(rig.exporter.droppedCount).toBe(7);
  await rig.answer();
  for (let i = 1; i <= SPANS_QUEUED_MAX / SPAN_BATCH_MAX; i++) {
    expect(rig.asked).toHaveLength(i + 1);
    await rig.answer();
  }
  expect(rig.exporter.droppedCount).toBe(7);
});

test('what may work later is tried again, for a bounded number of times', async () => {
  const rig = new Rig();
  rig.push(SPAN_BATCH_MAX);
  for (let tries = 1; tries <= SPAN_EXPORT_TRIES_MAX; tries++) {
    await rig.settle();
    expect(rig.asked).toHaveLength(tries);
    await rig.answer(STATUS.UNAVAILABLE);
    await rig.pass();
  }
  expect(rig.asked).toHaveLength(SPAN_EXPORT_TRIES_MAX);
  expect(rig.exporter.droppedCount).toBe(SPAN_BATCH_MAX);
  // Said once, not each time.
  expect(rig.lines).toEqual(['failed to export spans']);
  rig.push(SPAN_BATCH_MAX);
  await rig.answer();
  expect(rig.lines).toEqual(['failed to export spans', 'spans are exported again']);
});

test('what will not work later is dropped at once', async () => {
  const rig = new Rig();
  rig.push(SPAN_BATCH_MAX);
  await rig.answer(STATUS.INVALID_ARGUMENT);
  expect([rig.exporter.droppedCount, await rig.pass()]).toEqual([SPAN_BATCH_MAX, []]);
});

test('closing sends what waits, once, and does not wait for a collector that stalls', async () => {
  const rig = new Rig();
  rig.push(SPAN_BATCH_MAX + 5);
  await rig.settle();
  let isOver = false;
  void rig.exporter.close().then(() => {
    isOver = true;
  });
  await rig.settle();
  expect([isOver, rig.isClosed]).toEqual([false, false]);
  expect(await rig.pass()).toEqual([SPAN_CLOSE_TIMEOUT_MS]);
  expect([isOver, rig.isClosed]).toEqual([true, true]);
  rig.push(1);
  expect(rig.exporter.droppedCount).toBe(SPAN_BATCH_MAX + 6);
});

test('closing ends the pause before another try', async () => {
  const rig = new Rig();
  rig.push(SPAN_BATCH_MAX);
  await rig.answer(STATUS.UNAVAILABLE);
  await rig.exporter.close();
  expect([rig.isClosed, rig.asked.length, rig.exporter.droppedCount]).toEqual([
    true,
    1,
    SPAN_BATCH_MAX,
  ]);
});
