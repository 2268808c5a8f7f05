// The output forms by the names that `--write-out` takes.

import { EXIT, ExitError } from '../../shell/exit.ts';
import type { Io } from '../../shell/io.ts';
import { FieldsPrinter } from './fields.ts';
import { JsonPrinter } from './json.ts';
import type { Printer } from './printer.ts';
import { ProtobufPrinter } from './protobuf.ts';
import { SimplePrinter } from './simple.ts';
import { TablePrinter } from './table.ts';

export function makePrinter(io: Io, form: string, hex: boolean): Printer {
  switch (form) {
    case 'simple':
      return new SimplePrinter(io, hex);
    case 'json':
      return new JsonPrinter(io, hex);
    case 'fields':
      return new FieldsPrinter(io, hex);
    case 'table':
      return new TablePrinter(io);
    case 'protobuf':
      return new ProtobufPrinter(io);
    default:
      throw new ExitError(EXIT.BAD_FEATURE, 'unsupported output format');
  }
}
