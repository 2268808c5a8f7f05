// Loaded into a Node.js server (`node --import`) to see what only its process can tell: garbage
// collection pauses and turns of the event loop. Appends a JSON line to $BENCH_OBSERVE_FILE at each
// SIGUSR2, about the time since the last one. Measures turns only when $BENCH_OBSERVE_TURNS is set:
// that costs a timer per millisecond.

import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';

const file = process.env.BENCH_OBSERVE_FILE;
if (file) {
  let count = 0;
  let totalMs = 0;
  let maxMs = 0;
  const note = (entries) => {
    for (const { duration } of entries) {
      count++;
      totalMs += duration;
      if (duration > maxMs) maxMs = duration;
    }
  };
  const observer = new PerformanceObserver((list) => note(list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  const turns = process.env.BENCH_OBSERVE_TURNS
    ? monitorEventLoopDelay({ resolution: 1 })
    : undefined;
  turns?.enable();
  process.on('SIGUSR2', () => {
    note(observer.takeRecords());
    const line = {
      gcCount: count,
      gcTotalMs: totalMs,
      gcMaxMs: maxMs,
      turnMaxMs: turns === undefined ? null : turns.max / 1e6,
    };
    count = 0;
    totalMs = 0;
    maxMs = 0;
    turns?.reset();
    appendFileSync(file, `${JSON.stringify(line)}\n`);
  });
}
