// Tables with lines.

import type { etcdserverpb } from '../../../client/index.ts';
import type { Io } from '../../shell/io.ts';
import { tableText } from '../../shell/table-text.ts';
import {
  type EndpointHashKv,
  type EndpointHealth,
  type EndpointStatus,
  PartialPrinter,
} from './printer.ts';
import { hashKvRows, healthRows, memberRows, statusRows } from './table-rows.ts';

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
