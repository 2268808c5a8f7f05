import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RangeResult } from '../../mvcc/index.ts';
import { bodyOf, rangeAnswer } from './long-answer.ts';
import { ResponseHeaders } from './response-header.ts';
import { kvEncoders } from './responses.ts';

test('the pieces of a large answer are the answer', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(40_000), { maxLength: 20 }),
      fc.nat(3),
      fc.boolean(),
      fc.boolean(),
      (lengths, singles, more, withCount) => {
        const raft = { term: 7 };
        const header = new ResponseHeaders(0xcdf818194e3a8c32n, 0x8e9e05c52164694dn, raft);
        const result = new RangeResult(true);
        result.revision = 300;
        result.more = more;
        // A range that has pairs has a count; one without may lack it.
        result.count = lengths.length > 0 || more || withCount ? lengths.length + 1 : 0;
        for (const [i, length] of lengths.entries()) {
          const buffer = new Uint8Array(length + 3).fill(i);
          if (i % 4 <= singles) result.push(buffer, 2, length);
          else result.pushRun({ buffer, offset: 2, length: length + 1 }, 2);
        }
        const encoder = kvEncoders(header).range;
        const whole = new Uint8Array(encoder.size(result));
        encoder.write(result, whole, 0);
        const { size, pieces } = rangeAnswer(header, bodyOf(result));
        expect(size).toBe(whole.length);
        // A new term while the answer is under way changes nothing in it.
        raft.term = 70_000;
        const parts: Uint8Array[] = [];
        for (let left = size; left > 0; left -= parts.at(-1)!.length) {
          parts.push(pieces.next().value!);
        }
        expect(pieces.next().done).toBe(true);
        expect(Buffer.compare(Buffer.concat(parts), whole)).toBe(0);
      },
    ),
  );
});
