// Counts of bytes for people, as etcd's logs and tables have them.

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** Bytes for people, in powers of 1,000: `20 kB`, `2.1 GB`. */
export function humanBytes(count: number): string {
  if (count < 10) return `${count} B`;
  const power = Math.min(Math.floor(Math.log10(count) / 3 + 1e-12), BYTE_UNITS.length - 1);
  const value = Math.floor((count / 1_000 ** power) * 10 + 0.5) / 10;
  const text = value < 10 ? value.toFixed(1) : roundHalfEven(value);
  return `${text} ${BYTE_UNITS[power]}`;
}

/** As Go's `%.0f` does it. */
function roundHalfEven(value: number): string {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return String(Math.round(value));
  return String(floor % 2 === 0 ? floor : floor + 1);
}
