import { expect, test } from 'vitest';
import { STATUS } from '../../grpc/index.ts';
import type { Call, UnaryEntry } from '../../rpc/index.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { countingClients } from './client-requests.ts';

const { records } = createMetrics({ extensive: false, runtime: false });
const guard = countingClients(records);

function ask(version: string | undefined, kind: string, isInner?: boolean) {
  const metadata = { get: (name: string) => (name === 'client-api-version' ? version : undefined) };
  const call = { metadata, ...(isInner === undefined ? {} : { isInner }) };
  return guard(call as unknown as Call, { kind } as unknown as UnaryEntry, undefined);
}

test('requests are counted by the version of the client, what a service calls is not', () => {
  for (const [version, kind, isInner] of [
    ['3.7', 'unary'],
    ['3.7', 'unary', false],
    ['3.7', 'unary', true],
    ['3.7', 'bidi_stream'],
    [undefined, 'unary'],
    ['\xc3\xa9', 'unary'],
  ] as const) {
    expect(ask(version, kind, isInner)).toBe(undefined);
  }
  const shown = [...records.server.clientRequests.children()].map(
    ({ labels, metric }) => `${labels.join(' ')} ${metric.value}`,
  );
  expect(shown).toEqual(['unary 3.7 2', 'stream 3.7 1', 'unary unknown 1', 'unary é 1']);
});

test('a version that is no text is refused, and endlessly many take no memory', () => {
  expect(ask('\xff', 'unary')).toMatchObject({ status: STATUS.INVALID_ARGUMENT });
  for (let i = 0; i < 3_000; i++) ask(`v${i}`, 'unary');
  const children = [...records.server.clientRequests.children()];
  expect(children.length).toBeLessThan(1_003);
  expect(children.map(({ labels }) => labels.join(' '))).toContain('other other');
});
