// Medians, ratios, and the table.

import type { Case, Measurement } from './cases.ts';

export interface CaseReport {
  readonly name: string;
  readonly title: string;
  /** Median of each field, by server. */
  readonly servers: Readonly<Record<string, Measurement>>;
  /** The best of the others divided by ours (rates the other way round): above 1 ours is better. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly goal?: { readonly field: string; readonly ratio: number; readonly reached: boolean };
}

const RATES = new Set(['requestsPerSecond']);
const COMPARED = [
  'cpuUsPerRequest',
  'requestsPerSecond',
  'p50Ms',
  'p99Ms',
  'seconds',
  'corePercent',
  'rssMiB',
  'kibPerConnection',
] as const;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function mediansOf(runs: readonly Measurement[]): Measurement {
  const fields = new Set(runs.flatMap((run) => Object.keys(run))) as Set<keyof Measurement>;
  const entries = [...fields].map((field) => {
    const values = runs.flatMap((run) => run[field] ?? []);
    return [field, median(values)] as const;
  });
  return Object.fromEntries(entries);
}

export function reportCase(
  one: Case,
  ours: string,
  runs: ReadonlyMap<string, readonly Measurement[]>,
): CaseReport {
  const servers: Record<string, Measurement> = {};
  for (const [server, measured] of runs) servers[server] = mediansOf(measured);
  const ratios: Record<string, number> = {};
  const mine = servers[ours];
  if (mine !== undefined) {
    for (const field of COMPARED) {
      const others = Object.entries(servers)
        .filter(([server]) => server !== ours)
        .flatMap(([, measured]) => measured[field] ?? []);
      const value = mine[field];
      if (others.length === 0 || value === undefined) continue;
      ratios[field] = RATES.has(field) ? value / Math.max(...others) : Math.min(...others) / value;
    }
  }
  const { name, title, goal } = one;
  const reached = goal === undefined ? undefined : ratios[goal.field];
  return {
    ...{ name, title, servers, ratios },
    ...(goal === undefined || reached === undefined
      ? {}
      : { goal: { field: goal.field, ratio: goal.ratio, reached: reached >= goal.ratio } }),
  };
}

const COLUMNS: readonly (readonly [keyof Measurement, string, number])[] = [
  ['cpuUsPerRequest', 'CPU µs/req', 2],
  ['requestsPerSecond', 'req/s', 0],
  ['p50Ms', 'p50 ms', 2],
  ['bareP50Ms', 'bare p50 ms', 2],
  ['p99Ms', 'p99 ms', 2],
  ['maxMs', 'max ms', 1],
  ['seconds', 'seconds', 2],
  ['corePercent', '% of a core', 2],
  ['wakeUpsPerSecond', 'wake-ups/s', 1],
  ['rssMiB', 'RSS MiB', 0],
  ['kibPerConnection', 'KiB/connection', 1],
  ['gcMaxMs', 'GC max ms', 1],
  ['turnMaxMs', 'turn max ms', 1],
  ['pingMaxMs', 'ping max ms', 1],
  ['addedMiB', 'added MiB', 0],
  ['failed', 'failed', 0],
  ['elections', 'elections', 0],
];

/** A Markdown table, one row per case and server. */
export function table(reports: readonly CaseReport[]): string {
  const head = ['case', 'server', ...COLUMNS.map(([, title]) => title), 'ratio'];
  const rows = reports.flatMap((report) =>
    Object.entries(report.servers).map(([server, measured], index) => [
      index === 0 ? report.title : '',
      server,
      ...COLUMNS.map(([field, , digits]) => measured[field]?.toFixed(digits) ?? ''),
      index === 0 ? ratioText(report) : '',
    ]),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function ratioText(report: CaseReport): string {
  const { goal, ratios } = report;
  const field = goal?.field ?? 'cpuUsPerRequest';
  const ratio = ratios[field];
  if (ratio === undefined) return '';
  const wanted =
    goal === undefined ? '' : ` (${goal.reached ? 'reached' : 'not'} ${goal.ratio.toFixed(1)})`;
  return `${ratio.toFixed(2)}×${wanted}`;
}
