// `--auto-compaction-mode` and `--auto-compaction-retention`, read as etcd reads them together.

import { goQuote } from '../../base/index.ts';
import type { AutoCompactionConfig } from './server-config.ts';
import { parseDurationMs } from './values.ts';

const HOUR_MS = 3_600_000;
const NANOSECONDS_PER_MS = 1e6;

/**
 * A number without a unit counts hours, or revisions. A duration is taken in either mode; as revisions
 * it counts nanoseconds, as in etcd. Returns the reason, in etcd's words, of a refusal.
 */
export function parseAutoCompaction(
  mode: string,
  retention: string,
): AutoCompactionConfig | string {
  if (mode === '') return 'undefined auto-compaction-mode';
  if (mode !== 'periodic' && mode !== 'revision') {
    return `unknown auto-compaction-mode ${goQuote(mode)}`;
  }
  const isRevision = mode === 'revision';
  const text = retention === '' ? '0' : retention;
  if (/^\+?\d+$|^-0+$/.test(text)) {
    const count = Math.min(Math.abs(Number(text)), Number.MAX_SAFE_INTEGER);
    return { mode, retention: isRevision ? count : count * HOUR_MS };
  }
  const parsed = parseDurationMs(text);
  if ('reason' in parsed) {
    const wrong = /^-\d+$/.test(text) ? 'missing unit in duration' : 'invalid duration';
    return `error parsing CompactionRetention: time: ${wrong} ${goQuote(text)}`;
  }
  if (parsed.value < 0) return '--auto-compaction-retention must not be negative';
  const counted = isRevision ? parsed.value * NANOSECONDS_PER_MS : parsed.value;
  return { mode, retention: counted };
}
