// What is under way in this process, in place of Go's goroutines: the calls that are open, by method, and
// what the event loop waits for, by kind.

import type { MethodStats } from '../../grpc/index.ts';
import { type Frame, ProfileBuilder } from './profile-builder.ts';

/** The counters by which the open calls of a method are known. */
export type CallCounters = Pick<MethodStats, 'path' | 'started' | 'ended'>;

/** Without samples yet. */
export function activityBuilder(program: string): ProfileBuilder {
  const kind = { type: 'goroutine', unit: 'count' };
  return new ProfileBuilder({ kinds: [kind], period: { ...kind, value: 1 }, program });
}

/** Adds the counts of now, times `sign`. */
export function addActivity(
  builder: ProfileBuilder,
  methods: readonly CallCounters[],
  sign: 1 | -1,
): void {
  for (const { path, started, ended } of methods) {
    const open = started - ended.reduce((sum, count) => sum + count, 0);
    builder.add([frame(path), frame('open calls')], [sign * open]);
  }
  for (const kind of process.getActiveResourcesInfo()) {
    builder.add([frame(kind), frame('event loop')], [sign]);
  }
}

/** Every handle of the event loop, one a line: sockets with addresses, timers with times. */
export function handlesText(): string {
  const report: Report = process.report;
  const before = report.excludeNetwork ?? false;
  // Names of remote addresses are looked up otherwise, while nothing else runs.
  report.excludeNetwork = true;
  try {
    // The report has the environment too, where secrets may be: none of that is shown.
    const { libuv } = report.getReport() as { readonly libuv: readonly LibuvHandle[] };
    return libuv.map((handle) => `${handle.type}: ${JSON.stringify(handle)}\n`).join('');
  } finally {
    report.excludeNetwork = before;
  }
}

/** Its types lack what Node.js has since 20.13. */
type Report = NodeJS.ProcessReport & { excludeNetwork?: boolean };

interface LibuvHandle {
  readonly type: string;
}

function frame(name: string): Frame {
  return { name, plainName: name, file: '', startLine: 0, line: 0 };
}
