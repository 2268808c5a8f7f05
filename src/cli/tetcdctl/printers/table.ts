// Tables with lines, as etcdctl 3.7 draws them: heads centred in capitals, cells to the right.

import type { etcdserverpb } from '../../../client/index.ts';
import type { Io } from '../../shell/io.ts';
import {
  type EndpointHashKv,
  type EndpointHealth,
  type EndpointStatus,
  PartialPrinter,
} from './printer.ts';
import { hashKvRows, healthRows, memberRows, type Rows, statusRows } from './table-rows.ts';

export class TablePrinter extends PartialPrinter {
  readonly #io: Io;

  constructor(io: Io) {
    super('table');
    this.#io = io;
  }

  override memberList(response: etcdserverpb.MemberListResponse): void {
    this.#io.out(tableText(memberRows(response)));
  }

  override endpointHealth(list: readonly EndpointHealth[]): void {
    this.#io.out(tableText(healthRows(list)));
  }

  override endpointStatus(list: readonly EndpointStatus[]): void {
    this.#io.out(tableText(statusRows(list)));
  }

  override endpointHashKv(list: readonly EndpointHashKv[]): void {
    this.#io.out(tableText(hashKvRows(list)));
  }
}

function width(text: string): number {
  return [...text].length;
}

/** The whole table, with an end of line. */
function tableText({ head, rows }: Rows): string {
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
