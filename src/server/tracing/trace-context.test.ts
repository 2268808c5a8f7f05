import { expect, test } from 'vitest';
import { remoteParentOf } from './trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const parsed = (traceparent: string | undefined, tracestate?: string) => {
  const fields: Record<string, string | undefined> = { traceparent, tracestate };
  const found = remoteParentOf({ get: (name) => fields[name] });
  if (found === undefined) return undefined;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return [hex(found.traceId), hex(found.spanId), found.sampled, found.traceState];
};

test.each([
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, false],
  [`00-${TRACE}-${SPAN}-03`, true],
  [`cc-${TRACE}-${SPAN}-01`, true],
  [`cc-${TRACE}-${SPAN}-01-what-comes-later`, true],
])('%s is a parent', (text, sampled) => {
  expect(parsed(text, 'a=1')).toEqual([TRACE, SPAN, sampled, 'a=1']);
});

test.each([
  undefined,
  '',
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `cc-${TRACE}-${SPAN}-01more`,
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-1`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE.slice(1)}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  ` 00-${TRACE}-${SPAN}-01`,
  `0x-${TRACE}-${SPAN}-01`,
])('%j is none', (text) => {
  expect(parsed(text)).toBeUndefined();
});

test('a state that is too long is left out', () => {
  expect(parsed(`00-${TRACE}-${SPAN}-01`, 'a'.repeat(513))?.[3]).toBe('');
});
