// A log line as an entry of systemd's journal, in its native protocol: fields, one per line, that of a text
// with line ends by its length. Fields are etcd's.

/** Of syslog, by level. */
const PRIORITIES: Readonly<Record<string, number>> = {
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
  panic: 2,
  fatal: 2,
};

const JSON_HEAD = /^\{"level":"([a-z]+)","ts":"[^"]*","caller":"([^"]*)"/;
const CONSOLE_HEAD = /^[^\t]*\t([a-z]+)\t([^\t]*)\t/;

/** Of a line in either form, with its end, which the entry's message is without. */
export function journalEntry(line: string, identifier: string): Buffer {
  const [, level = 'info', caller = ''] = JSON_HEAD.exec(line) ?? CONSOLE_HEAD.exec(line) ?? [];
  const slash = caller.lastIndexOf('/');
  return Buffer.concat([
    field('PRIORITY', String(PRIORITIES[level])),
    field('MESSAGE', line.slice(0, -1)),
    field('PACKAGE', slash < 0 ? '.' : caller.slice(0, slash)),
    field('SYSLOG_IDENTIFIER', identifier),
  ]);
}

function field(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`);
  const text = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, text, Buffer.from('\n')]);
}
