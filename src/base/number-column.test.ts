import { expect, test } from 'vitest';
import { NumberColumn } from './number-column.ts';

test('keeps every number at its place, over the edges of blocks', () => {
  const column = new NumberColumn();
  const numberAt = (place: number): number => 2 ** 53 - 1 - 7 * place;
  for (let i = 0; i < 50_000; i++) {
    expect(column.length).toBe(i);
    column.push(numberAt(i));
  }
  for (let i = 0; i < 50_000; i++) if (column.at(i) !== numberAt(i)) throw new Error(`place ${i}`);
});
