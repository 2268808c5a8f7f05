// The value of --log-rotation-config-json, read as Go's encoding/json reads it: names in any case, null for
// the default, unknown names passed over, and its words for what is wrong.

import { bytesFromUtf8, TetcdError } from '../../base/index.ts';
import type { FileRotation } from '../../env/index.ts';
import { JsonScanner } from '../../protocol/index.ts';

const MEBIBYTE = 1_048_576;
const DAY_MS = 86_400_000;
const DEFAULT_MAX_SIZE = 100;
const INT64_MAX = 2n ** 63n - 1n;

export const DEFAULT_LOG_ROTATION =
  '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}';

/** Types by Go's names. A file name is taken, and the path of --log-outputs used in its place. */
const FIELDS = {
  filename: 'string',
  maxsize: 'int',
  maxage: 'int',
  maxbackups: 'int',
  localtime: 'bool',
  compress: 'bool',
} as const;
type FieldName = keyof typeof FIELDS;

/** The settings, or the reason why they are refused, in etcd's words. */
export function parseLogRotation(text: string): FileRotation | string {
  const flaw = syntaxError(text);
  if (flaw !== undefined) return `improperly formatted log rotation config: ${flaw}`;
  const tokens = tokensOf(text);
  const kind = kindOf(tokens[0]!);
  if (kind !== 'object' && kind !== 'null') {
    const type = 'embed.logRotationConfig';
    return `invalid log rotation config: json: cannot unmarshal ${kind} into Go value of type ${type}`;
  }
  const found = new Map<FieldName, string>();
  for (const [name, token] of membersOf(tokens)) {
    const problem = typeProblem(name, token);
    if (problem !== undefined) return `invalid log rotation config: ${problem}`;
    if (token !== 'null') found.set(name, token);
  }
  const number = (name: FieldName): number => Number(found.get(name) ?? 0);
  const maxSize = number('maxsize');
  if (maxSize < 0) return `invalid log rotation config: maxsize must not be negative (${maxSize})`;
  return {
    maxBytes: (maxSize || DEFAULT_MAX_SIZE) * MEBIBYTE,
    maxAgeMs: Math.max(0, number('maxage')) * DAY_MS,
    maxBackups: Math.max(0, number('maxbackups')),
    localTime: found.get('localtime') === 'true',
    compress: found.get('compress') === 'true',
  };
}

function syntaxError(text: string): string | undefined {
  const bytes = bytesFromUtf8(text);
  const scanner = new JsonScanner();
  try {
    const end = scanner.scan(bytes, 0, bytes.length);
    if (end < 0) return scanner.isInside && scanner.end() ? undefined : UNEXPECTED_END;
    const after = bytes.subarray(end).findIndex((byte) => byte > 0x20);
    if (after < 0) return undefined;
    const rest = String.fromCharCode(bytes[end + after]!);
    return `invalid character '${rest}' after top-level value`;
  } catch (error) {
    if (!(error instanceof TetcdError)) throw error;
    return error.message === 'unexpected EOF' ? UNEXPECTED_END : error.message;
  }
}

const UNEXPECTED_END = 'unexpected end of JSON input';

/** Of a text that is JSON. */
function tokensOf(text: string): readonly string[] {
  return text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
}

function kindOf(token: string): string {
  if (token.startsWith('"')) return 'string';
  if (token === '{') return 'object';
  if (token === '[') return 'array';
  if (token === 'null') return token;
  return token === 'true' || token === 'false' ? 'bool' : 'number';
}

/** Known names of the outermost object, each with the first token of its value, in their order. */
function* membersOf(tokens: readonly string[]): Generator<readonly [FieldName, string]> {
  let depth = 0;
  for (const [at, token] of tokens.entries()) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (token === ':' && depth === 1) {
      const name = String(JSON.parse(tokens[at - 1]!)).toLowerCase();
      if (Object.hasOwn(FIELDS, name)) yield [name as FieldName, tokens[at + 1]!];
    }
  }
}

function typeProblem(name: FieldName, token: string): string | undefined {
  const kind = kindOf(token);
  const type = FIELDS[name];
  if (kind === 'null') return undefined;
  const fits = type === 'int' ? kind === 'number' && isInt64(token) : kind === type;
  if (fits) return undefined;
  const what = type === 'int' && kind === 'number' ? `number ${token}` : kind;
  const field = `logRotationConfig.Logger.${name}`;
  return `json: cannot unmarshal ${what} into Go struct field ${field} of type ${type}`;
}

function isInt64(token: string): boolean {
  if (!/^-?\d+$/.test(token)) return false;
  const value = BigInt(token);
  return value <= INT64_MAX && value >= -INT64_MAX - 1n;
}
