import { expect, test } from 'vitest';
import { journalEntry } from './journal-entry.ts';
import { createLogger } from './log.ts';

const clock = { wallMs: () => Date.UTC(2026, 0, 2), monotonicMs: () => 0 };

function lineOf(format: 'json' | 'console', msg: string): string {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line) };
  createLogger({ level: 'info', format }, sink, clock, 'server/boot/boot.ts').error(msg, { a: 1 });
  return lines[0]!;
}

test.each(['json', 'console'] as const)('a line in %s form', (format) => {
  const line = lineOf(format, 'opened backend db');
  expect(journalEntry(line, 'tetcd').toString()).toBe(
    `PRIORITY=3\nMESSAGE=${line}PACKAGE=server/boot\nSYSLOG_IDENTIFIER=tetcd\n`,
  );
});

test('a text with a line end in it goes by its length in bytes', () => {
  const line = lineOf('console', 'änother\nPRIORITY=0');
  const message = Buffer.from(line.slice(0, -1));
  const length = Buffer.alloc(8);
  length.writeUInt32LE(message.length);
  expect(journalEntry(line, 'x')).toEqual(
    Buffer.concat([
      ...[Buffer.from('PRIORITY=3\nMESSAGE\n'), length, message],
      Buffer.from('\nPACKAGE=server/boot\nSYSLOG_IDENTIFIER=x\n'),
    ]),
  );
});

test('priorities are of syslog', () => {
  const head = (level: string) =>
    journalEntry(`{"level":"${level}","ts":"x","caller":"a.ts","msg":""}\n`, 'x')
      .toString()
      .split('\n')[0];
  const levels = ['debug', 'info', 'warn', 'error', 'panic', 'fatal'];
  expect(levels.map(head)).toEqual([7, 6, 4, 3, 2, 2].map((number) => `PRIORITY=${number}`));
});
