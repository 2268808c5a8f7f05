// Tables with lines, as etcdctl and etcdutl 3.7 draw them: heads centred in capitals, cells to the right.

/** A table's head and rows of cells. */
export interface Rows {
  readonly head: readonly string[];
  readonly rows: ReadonlyArray<readonly string[]>;
}

/** The whole table, with an end of line. */
export function tableText({ head, rows }: Rows): string {
  const titles = head.map((title) => title.replaceAll('_', ' ').toUpperCase());
  const widths = titles.map((title, column) =>
    Math.max(width(title), ...rows.map((row) => width(row[column] ?? ''))),
  );
  const rule = (left: string, middle: string, right: string): string =>
    left + widths.map((each) => '─'.repeat(each + 2)).join(middle) + right;
  const line = (cells: readonly string[]): string => `│ ${cells.join(' │ ')} │`;
  const centred = titles.map((title, column) => {
    const space = widths[column]! - width(title);
    const left = Math.floor(space / 2);
    return ' '.repeat(left) + title + ' '.repeat(space - left);
  });
  const body = rows.map((row) =>
    line(row.map((cell, column) => ' '.repeat(widths[column]! - width(cell)) + cell)),
  );
  const lines = [
    rule('┌', '┬', '┐'),
    line(centred),
    ...(body.length === 0 ? [] : [rule('├', '┼', '┤'), ...body]),
    rule('└', '┴', '┘'),
  ];
  return `${lines.join('\n')}\n`;
}

/** Columns that a text takes. */
function width(text: string): number {
  return [...text].length;
}
