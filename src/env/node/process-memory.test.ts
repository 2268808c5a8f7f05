import { expect, test } from 'vitest';
import { createProcessMemory } from './process-memory.ts';

const MIB = 1024 * 1024;

test('CPU time goes on', () => {
  const memory = createProcessMemory();
  const before = memory.cpuMs();
  const untilMs = performance.now() + 30;
  while (performance.now() < untilMs);
  expect(memory.cpuMs() - before).toBeGreaterThan(5);
});

test('a collection frees what is not used', () => {
  const memory = createProcessMemory();
  memory.collect();
  const before = process.memoryUsage().arrayBuffers;
  let bytes: Uint8Array[] | undefined = Array.from({ length: 64 }, () => new Uint8Array(MIB));
  expect(bytes.length).toBe(64);
  expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThan(60 * MIB);
  bytes = undefined;
  // The buffers themselves are freed beside the program, the rest with the next collection.
  memory.collect();
  memory.collect();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * MIB);
  expect('gc' in globalThis).toBe(false);
});

test('memory is trimmed, or it is not, and nothing fails', async () => {
  const memory = createProcessMemory();
  await memory.trim();
  await memory.trim();
});
