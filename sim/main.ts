// npm run sim -- [--seed n] [--seconds 60] [--duration ms] [--faults kill,split] [--canary name]
//   [--kind keys|users|locks|downgrade] [--tokens simple|jwt] [--verbose] [--save directory]
//
// With a seed: that run, exactly. Without: one seed after the other, from a random one on (or --from),
// until the time is over or something is wrong (--keep: and then on). TETCD_VERIFY=all turns the
// costly assertions of the members on.

import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { verify } from '../src/base/index.ts';
import { CANARIES } from './canaries.ts';
import { historyToJson } from './check/history.ts';
import { PLAN_KINDS, TOKEN_KINDS } from './plan.ts';
import { runSim, type SimOptions, type SimReport } from './run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '60' },
    duration: { type: 'string' },
    faults: { type: 'string' },
    canary: { type: 'string' },
    kind: { type: 'string' },
    tokens: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    save: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

function commandOf(seed: number): string {
  const rest = (['duration', 'faults', 'canary', 'kind', 'tokens'] as const).flatMap((name) =>
    values[name] === undefined ? [] : [`--${name} ${values[name]}`],
  );
  return ['npm run sim --', `--seed ${seed}`, ...rest].join(' ');
}

function optionsOf(seed: number): SimOptions {
  const canary = CANARIES.find((each) => each.name === values.canary);
  if (values.canary !== undefined && canary === undefined) {
    throw new Error(`no such canary; there are ${CANARIES.map((each) => each.name).join(', ')}`);
  }
  const kind = PLAN_KINDS.find((each) => each === values.kind) ?? canary?.kind;
  if (values.kind !== undefined && kind !== values.kind) {
    throw new Error(`no such kind; there are ${PLAN_KINDS.join(', ')}`);
  }
  const tokens = TOKEN_KINDS.find((each) => each === values.tokens) ?? canary?.tokens;
  if (values.tokens !== undefined && tokens !== values.tokens) {
    throw new Error(`no such tokens; there are ${TOKEN_KINDS.join(', ')}`);
  }
  const faults = values.faults?.split(',') ?? canary?.faults;
  return {
    seed,
    kind,
    tokens,
    command: commandOf(seed),
    ...(values.duration === undefined ? {} : { durationMs: Number(values.duration) }),
    ...(faults === undefined ? {} : { faults }),
    ...(canary === undefined ? {} : { canary }),
    ...(values.verbose ? { log: (line: string) => console.info(line) } : {}),
  };
}

function report(result: SimReport): void {
  const { seed, operations, unknown, elections, entries, faults, trace, simulatedMs } = result;
  const seconds = Math.round(simulatedMs / 1000);
  console.info(
    `seed ${seed}: ${seconds} s, ${operations} requests (${unknown} lost), ${faults} faults, ` +
      `${elections} terms, ${entries} entries, trace ${trace}, ` +
      `${result.violations.length} violations`,
  );
  for (const { rule, text } of result.violations.slice(0, 10)) {
    console.error(`${rule}: ${text}`);
  }
  if (result.violations.length > 0) console.error(`\n  ${commandOf(seed)}\n`);
  if (values.save === undefined) return;
  mkdirSync(values.save, { recursive: true });
  writeFileSync(`${values.save}/${seed}.json`, historyToJson(result.history));
}

async function one(seed: number): Promise<SimReport> {
  const result = await runSim(optionsOf(seed));
  report(result);
  return result;
}

async function many(first: number): Promise<boolean> {
  const startMs = performance.now();
  const isOver = (): boolean => performance.now() - startMs > Number(values.seconds) * 1000;
  const events = new Map<string, number>();
  let simulatedMs = 0;
  let failed = 0;
  let seed = first;
  for (; !isOver(); seed++) {
    const result = await one(seed);
    simulatedMs += result.simulatedMs;
    for (const [event, n] of result.events) events.set(event, (events.get(event) ?? 0) + n);
    if (result.violations.length === 0) continue;
    failed++;
    if (!values.keep) break;
  }
  const realHours = (performance.now() - startMs) / 3_600_000;
  const hours = simulatedMs / 3_600_000;
  console.info(
    `${seed - first + (failed > 0 && !values.keep ? 1 : 0)} seeds, ${failed} failed, ` +
      `${hours.toFixed(2)} simulated hours, ${(hours / realHours).toFixed(1)} per hour`,
  );
  const counts = [...events].sort(([a], [b]) => (a < b ? -1 : 1));
  console.info(counts.map(([event, n]) => `${event} ${n}`).join(', '));
  return failed === 0;
}

verify.all = process.env['TETCD_VERIFY'] === 'all';
process.on('unhandledRejection', (error) => {
  console.error('unhandled rejection', error);
  process.exitCode = 1;
});
const ok =
  values.seed === undefined
    ? await many(Number(values.from))
    : (await one(Number(values.seed))).violations.length === 0;
if (!ok) process.exitCode = 1;
