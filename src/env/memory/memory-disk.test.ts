import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes, seededRandom } from '../../base/index.ts';
import { diskContract } from '../disk-contract.fixture.ts';
import { createMemoryDisk } from './memory-disk.ts';
import { SparseBytes } from './sparse-bytes.ts';

describe('the disk in memory', () => {
  diskContract(async () => {
    const disk = createMemoryDisk();
    await disk.makeDirectory('/root');
    return { disk, root: '/root', finish: async () => {} };
  });
});

test('sparse bytes are a plain array of bytes', () => {
  const seed = Number(process.env['TETCD_SEED'] ?? 7);
  const random = seededRandom(seed);
  const sparse = new SparseBytes();
  let plain = '';
  const overlay = (position: number, text: string): void => {
    plain = plain.padEnd(position, '\0');
    plain = plain.slice(0, position) + text + plain.slice(position + text.length);
  };
  for (let step = 0; step < 300; step++) {
    const position = random.below(20_000);
    const length = 1 + random.below(9_000);
    const kind = random.below(4);
    if (kind <= 1) {
      const text = String.fromCharCode(97 + random.below(26)).repeat(length);
      sparse.write(bytesFromLatin1(text), position);
      overlay(position, text);
    } else if (kind === 2) {
      sparse.zeroFill(position, position + length);
      overlay(position, '\0'.repeat(length));
    } else {
      sparse.truncate(position);
      plain = plain.slice(0, position).padEnd(position, '\0');
    }
    const back = bytesFromLatin1('x'.repeat(plain.length + 5));
    expect(sparse.size, `seed ${seed}, step ${step}`).toBe(plain.length);
    expect(sparse.read(back, 0)).toBe(plain.length);
    expect(latin1FromBytes(back) === `${plain}xxxxx`, `seed ${seed}, step ${step}`).toBe(true);
  }
});
