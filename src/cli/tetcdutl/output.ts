// The forms of output, etcdutl's: a result is a list of fields, and a form prints it.

import { EXIT, ExitError } from '../shell/exit.ts';
import { goJson } from '../shell/go-json.ts';
import type { Io } from '../shell/io.ts';
import { tableText } from '../shell/table-text.ts';

/** One field of a result, by the name that each form has for it. */
export interface OutputField {
  readonly json: string;
  readonly field: string;
  readonly column: string;
  readonly value: number | string;
  /** The value in a table, where it is not the value as text. */
  readonly cell?: string;
}

/** Prints one result. */
export type Output = (fields: readonly OutputField[]) => void;

/** BAD_FEATURE, in etcdutl's words, for a form that there is not, or that has no result. */
export function outputOf(io: Io, form: string): Output {
  switch (form) {
    case 'simple':
      return (fields) => io.out(`${fields.map(cellOf).join(', ')}\n`);
    case 'fields':
      return (fields) =>
        io.out(fields.map(({ field, value }) => `"${field}" : ${value}\n`).join(''));
    case 'json':
      return (fields) => {
        const entries = fields.map(({ json, value }) => [json, value] as const);
        io.out(`${goJson(Object.fromEntries(entries))}\n`);
      };
    case 'table':
      return (fields) =>
        io.out(tableText({ head: fields.map(({ column }) => column), rows: [fields.map(cellOf)] }));
    case 'protobuf':
      return () => {
        throw new ExitError(EXIT.BAD_FEATURE, 'protobuf not supported as output format');
      };
    default:
      throw new ExitError(EXIT.BAD_FEATURE, 'unsupported output format');
  }
}

function cellOf({ cell, value }: OutputField): string {
  return cell ?? String(value);
}

/** BAD_FEATURE unless the form is simple or json, which all that is ours alone has. */
export function mustBeTextOrJson(form: string): void {
  if (form === 'simple' || form === 'json') return;
  throw new ExitError(EXIT.BAD_FEATURE, `${form} not supported as output format: simple or json`);
}
