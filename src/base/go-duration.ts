// Durations as Go prints them: in etcd's log lines and in what its commands print.

/** `time.Duration.String()` of nanoseconds: `1.5s`, `2.372447ms`, `1m0.5s`. */
export function goDuration(ns: number): string {
  const whole = Math.round(ns);
  if (whole === 0) return '0s';
  if (whole < 1e3) return `${whole}ns`;
  if (whole < 1e6) return `${trimmed(whole, 1e3)}µs`;
  if (whole < 1e9) return `${trimmed(whole, 1e6)}ms`;
  const minutes = Math.floor(whole / 60e9);
  const seconds = `${trimmed(whole - minutes * 60e9, 1e9)}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}

function trimmed(value: number, unit: number): string {
  const whole = Math.floor(value / unit);
  const digits = String(unit).length - 1;
  const fraction = String(value - whole * unit)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(whole) : `${whole}.${fraction}`;
}
