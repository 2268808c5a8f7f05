// Texts of log lines in the form of etcd's logger, where pino's differ.

const ZERO_OFFSET = 'Z';

/** Local time with microseconds and zone: `2026-01-02T15:04:05.999999Z`, or `+0200` at the end. */
export function timestamp(wallMs: number): string {
  const date = new Date(wallMs);
  const eastMinutes = -date.getTimezoneOffset();
  const local = new Date(wallMs + eastMinutes * 60_000).toISOString();
  const micros = Math.floor((wallMs - Math.floor(wallMs)) * 1000);
  const zone = eastMinutes === 0 ? ZERO_OFFSET : zoneOf(eastMinutes);
  return local.slice(0, -1) + String(micros).padStart(3, '0') + zone;
}

function zoneOf(eastMinutes: number): string {
  const distance = Math.abs(eastMinutes);
  const hours = String(Math.floor(distance / 60)).padStart(2, '0');
  return `${eastMinutes < 0 ? '-' : '+'}${hours}${String(distance % 60).padStart(2, '0')}`;
}

const STRING = '"(?:[^"\\\\]|\\\\.)*"';
const JSON_LINE = new RegExp(
  `^\\{"level":"([a-z]+)","ts":"([^"]+)","caller":(${STRING}),"msg":(${STRING})(?:,(.*))?\\}\n$`,
  's',
);
const STRINGS_AND_MARKS = new RegExp(`${STRING}|[,:]`, 'gs');

/**
 * The console form of a line in JSON form: tabs between the parts, the fields as JSON with a space
 * after commas and colons. A line of another form is passed on as it is.
 */
export function consoleLine(line: string): string {
  const match = JSON_LINE.exec(line);
  if (match === null) return line;
  const [, level, time, caller = '""', msg = '""', fields] = match;
  const text = `${time}\t${level}\t${JSON.parse(caller)}\t${JSON.parse(msg)}`;
  if (fields === undefined) return `${text}\n`;
  const spaced = fields.replace(STRINGS_AND_MARKS, (part) =>
    part.length === 1 ? `${part} ` : part,
  );
  return `${text}\t{${spaced}}\n`;
}
