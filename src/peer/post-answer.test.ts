import { expect, test } from 'vitest';
import { bytesFromUtf8 } from '../base/index.ts';
import type { PeerContext } from './context.ts';
import { refusalOfPost } from './post-answer.ts';

function outcomeOf(status: number, body: string): { refusal: string | undefined; removed: number } {
  let removed = 0;
  const context = { host: { onRemoved: () => removed++ } } as unknown as PeerContext;
  const refusal = refusalOfPost(context, '1', { status, headers: {}, body: bytesFromUtf8(body) });
  return { refusal, removed };
}

test('a message from a removed member tells it of its removal', () => {
  const body = '{"message":"cannot process message from removed member"}';
  expect(outcomeOf(403, body).removed).toBe(1);
});

test('a message that another member got instead of a replaced one tells nothing', () => {
  const body = '{"message":"cannot process message to mismatch member"}';
  expect(outcomeOf(403, body)).toEqual({
    refusal: 'cannot process message to mismatch member',
    removed: 0,
  });
});

test('a message that was taken is not refused', () => {
  expect(outcomeOf(204, '')).toEqual({ refusal: undefined, removed: 0 });
});
