// What etcd's load generator prints at its end: one report, or several with a heading each.
//
//   Total Read Ops: 109
//   Details:
//   Summary:
//     Total:	0.568007306 secs.
//     Requests/sec:	191.89894011680192
//   ...
//   Latency distribution:
//     50% in 0.001424694 secs.       (where it is not 0)
//     99% in 0.065858038 secs.       (where there are enough requests)
//
//   Error distribution:              (where there were some)
//     [3]	etcdserver: too many requests

export interface OfficialReport {
  /** The line above; empty if there is none. */
  readonly heading: string;
  /** Those that succeeded. */
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** 0 in `watch-latency` where events come no later than the answers of their puts. */
  readonly p50Ms: number;
  readonly p99Ms: number | undefined;
  readonly failed: number;
}

const SUMMARY = /^Summary:$/m;

/** Throws if there is no report, or one without its numbers. */
export function readReports(text: string): readonly OfficialReport[] {
  const parts = text.split(new RegExp(SUMMARY, 'gm'));
  if (parts.length < 2) throw new Error(`etcd's load generator printed no report: ${text}`);
  return parts.slice(1).map((body, index) => readReport(headingOf(parts[index]!), body));
}

/** The last line that is neither part of a former report nor the word before its numbers. */
function headingOf(before: string): string {
  const lines = before.split('\n').map((line) => line.trim());
  const last = lines.filter((line) => line !== '' && line !== 'Details:').at(-1) ?? '';
  return /^\d+% in |^\[\d+\]/.test(last) ? '' : last;
}

function readReport(heading: string, body: string): OfficialReport {
  const number = (pattern: RegExp): number | undefined => {
    const found = pattern.exec(body)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const seconds = number(/^\s*Total:\s+(\d\S*) secs\.$/m);
  const requestsPerSecond = number(/^\s*Requests\/sec:\s+(\d\S*)$/m);
  const hasTimes = body.includes('Latency distribution:');
  const p50 = number(/^\s*50% in (\d\S*) secs\.$/m) ?? 0;
  const p99 = number(/^\s*99% in (\d\S*) secs\.$/m);
  if (seconds === undefined || requestsPerSecond === undefined || !hasTimes) {
    throw new Error(`etcd's load generator printed a report without its numbers: ${body}`);
  }
  const errors = body.split(/^\s*Error distribution:$/m)[1] ?? '';
  return {
    heading,
    requests: Math.round(requestsPerSecond * seconds),
    requestsPerSecond,
    p50Ms: p50 * 1000,
    p99Ms: p99 === undefined ? undefined : p99 * 1000,
    failed: [...errors.matchAll(/^\s*\[(\d+)\]/gm)].reduce((sum, [, n]) => sum + Number(n), 0),
  };
}
