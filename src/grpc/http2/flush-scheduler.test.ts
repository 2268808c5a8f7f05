import { expect, test } from 'vitest';
import { type Flushable, FlushScheduler, NEWS_FLUSHES_MAX } from './flush-scheduler.ts';

/** A scheduler whose turns the test ends, and the names of its connections as they are flushed. */
function start() {
  const flushed: string[] = [];
  const ends: (() => void)[] = [];
  const scheduler = new FlushScheduler({
    after: () => expect.unreachable('no timers'),
    nextTurn: () => expect.unreachable('no promises'),
    atEndOfTurn: (callback) => ends.push(callback),
  });
  const connection = (name: string): Flushable => {
    let last = 0;
    return {
      flushTurn: (turn) => {
        if (turn === last) return;
        last = turn;
        flushed.push(name);
      },
    };
  };
  const endTurn = (): string[] => {
    for (const end of ends.splice(0)) end();
    return flushed.splice(0);
  };
  return { scheduler, connection, flushed, endTurn, isWaiting: () => ends.length > 0 };
}

test('connections with news go before those with answers', () => {
  const { scheduler, connection, endTurn, isWaiting } = start();
  const [answer, news, both] = ['answer', 'news', 'both'].map(connection);
  scheduler.add(answer!);
  scheduler.add(both!);
  scheduler.addWithNews(news!);
  scheduler.addWithNews(both!);
  expect(endTurn()).toEqual(['news', 'both', 'answer']);
  expect(isWaiting()).toBe(false);
  scheduler.add(both!);
  expect(endTurn()).toEqual(['both']);
});

test('answers wait for a bounded number of them', () => {
  const { scheduler, connection, endTurn } = start();
  scheduler.add(connection('answer'));
  for (let i = 0; i < NEWS_FLUSHES_MAX + 2; i++) scheduler.addWithNews(connection(`news ${i}`));
  const flushed = endTurn();
  expect(flushed).toHaveLength(NEWS_FLUSHES_MAX + 3);
  expect(flushed.indexOf('answer')).toBe(NEWS_FLUSHES_MAX);
});

test('what is added while connections are flushed belongs to the next turn', () => {
  const { scheduler, connection, endTurn, isWaiting } = start();
  const later = connection('later');
  scheduler.addWithNews({ flushTurn: () => scheduler.addWithNews(later) });
  expect(endTurn()).toEqual([]);
  expect(isWaiting()).toBe(true);
  expect(endTurn()).toEqual(['later']);
});

test('what is added between cork and uncork is flushed by the last uncork, news first', () => {
  const { scheduler, connection, flushed, endTurn, isWaiting } = start();
  const [a, b, news, later] = ['a', 'b', 'news', 'later'].map(connection);
  scheduler.cork();
  scheduler.add(a!);
  scheduler.cork();
  scheduler.addWithNews(news!);
  scheduler.uncork(true);
  expect(flushed).toEqual([]);
  scheduler.uncork(true);
  expect(flushed.splice(0)).toEqual(['news', 'a']);
  expect(isWaiting()).toBe(false);
  scheduler.add(a!);
  scheduler.cork();
  scheduler.add(b!);
  scheduler.uncork(true);
  expect(flushed.splice(0)).toEqual(['a', 'b']);
  scheduler.add(later!);
  expect(endTurn()).toEqual(['later']);
  expect(isWaiting()).toBe(false);
  expect(() => scheduler.uncork(true)).toThrow(/uncorked was corked/);
});

test('or at the end of the turn, if that is asked for', () => {
  const { scheduler, connection, flushed, endTurn, isWaiting } = start();
  const [a, news] = ['a', 'news'].map(connection);
  scheduler.cork();
  scheduler.add(a!);
  scheduler.addWithNews(news!);
  expect(isWaiting()).toBe(false);
  scheduler.uncork(false);
  expect(flushed).toEqual([]);
  expect(endTurn()).toEqual(['news', 'a']);
  scheduler.cork();
  scheduler.uncork(false);
  expect(isWaiting()).toBe(false);
});
