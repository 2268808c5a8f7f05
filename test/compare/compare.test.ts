// tetcd beside real etcds: the same long sequence of requests, every response compared field by
// field. COMPARE_SEED repeats a run, COMPARE_OPERATIONS makes it longer.

import { describe, expect, test } from 'vitest';
import { ApiClient } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { Comparison } from './compare.ts';
import {
  type Difference,
  differences,
  judge,
  parseKnownDifferences,
  readKnownDifferences,
} from './differences.ts';
import { deadlyCases } from './edge-cases.ts';

const SEED = Number(process.env['COMPARE_SEED'] ?? 1);
const OPERATIONS = Number(process.env['COMPARE_OPERATIONS'] ?? 1_500);
const TIMEOUT_MS = 60_000 + OPERATIONS * 60;

const line = (one: Difference): string =>
  `${one.rpc} | ${one.field} | ${one.left} | ${one.right}   (${one.where})`;

async function compare(left: Program, right: Program): Promise<void> {
  const members: Member[] = [];
  const known = readKnownDifferences();
  const pair = `${left.release}~${right.release}`;
  try {
    for (const program of [left, right]) members.push(await Member.start(program));
    const comparison = new Comparison(members[0]!.endpoint, members[1]!.endpoint, {
      seed: SEED,
      operations: OPERATIONS,
      unknownMax: 15,
      watchesFromCompacted: right.release !== '3.4',
      tolerates: (difference) => judge(pair, [difference], known).unknown.length === 0,
    });
    const count = await comparison.run();
    comparison.close();
    const { unknown, unneeded } = judge(pair, comparison.found, known);
    console.info(
      `${left.name} and ${right.name}: ${count} operations, seed ${SEED}, ` +
        `${comparison.found.length} known differences, ${unknown.length} unknown`,
    );
    expect(unknown.map(line), `COMPARE_SEED=${SEED} repeats this`).toEqual([]);
    expect(unneeded, 'lines of known-differences.txt that nothing needed').toEqual([]);
  } finally {
    for (const member of members) await member.dispose();
  }
}

const ours = serverUnderTest();
const real35 = realEtcd('3.5');
const real34 = realEtcd('3.4');

describeWith('our server beside etcd 3.5', [ours, real35], () => {
  test('the same answers', { timeout: TIMEOUT_MS }, () =>
    compare(need(ours), realProgram(need(real35))),
  );
});

describeWith('our server beside etcd 3.4', [ours, real34], () => {
  test('the same answers', { timeout: TIMEOUT_MS }, () =>
    compare(need(ours), realProgram(need(real34))),
  );
});

describeWith('requests that end older releases', [ours], () => {
  test('are refused', async () => {
    const member = await Member.start(need(ours));
    const client = new ApiClient(member.endpoint);
    try {
      for (const { operation, code, details } of deadlyCases()) {
        if (operation.kind !== 'call') continue;
        expect(await client.call(operation.rpc, operation.request)).toEqual({ code, details });
      }
    } finally {
      client.close();
      await member.dispose();
    }
  });
});

describe('finding differences', () => {
  const at = (field: string, left: string, right: string): Difference => ({
    ...{ rpc: 'KV/Range', field, left, right, where: 'here' },
  });

  test('every leaf that differs is named', () => {
    const left = { a: 1, kvs: [{ key: 'x', value: 'y' }], more: false };
    const right = { a: 1, kvs: [{ key: 'x', value: 'z' }, { key: 'w' }], header: null };
    expect(differences(left, right)).toEqual([
      { field: 'kvs[].value', left: '"y"', right: '"z"' },
      { field: 'kvs[]', left: 'undefined', right: '{"key":"w"}' },
      { field: 'more', left: 'false', right: 'undefined' },
      { field: 'header', left: 'undefined', right: 'null' },
    ]);
  });

  test('a known difference is allowed, another is not, and one that did not occur is told', () => {
    const known = parseKnownDifferences(`
      # a comment
      3.7~3.5 | KV/Range | kvs[].lease | "1*" | * | the first
      3.7~3.5 | KV/*     | more        | true | false | the second
      3.7~3.4 | KV/*     | more        | true | false | for another pair
    `);
    const found = [at('kvs[].lease', '"12"', '"3"'), at('kvs[].lease', '"22"', '"3"')];
    const { unknown, unneeded } = judge('3.7~3.5', found, known);
    expect(unknown).toEqual([found[1]]);
    expect(unneeded.map((entry) => entry.reason)).toEqual(['the second']);
  });
});
