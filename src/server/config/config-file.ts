// The settings of a configuration file, as values of YAML: mappings, lists, texts, truth values and numbers.
// Each becomes the text of its flag; which values are refused, and in which words, is as in etcd, whose
// YAML goes through Go's JSON decoder.

import { invariant } from '../../base/index.ts';
import type { FlagCollector } from './command-line.ts';
import {
  FILE_KEYS,
  type FileKey,
  type Section,
  VALUE_TYPES,
  type ValueKey,
  type ValueType,
} from './file-keys.ts';
import { INT64, type IntegerRange, UINT32, UINT64 } from './values.ts';

/** What a YAML document holds; integers are bigints. */
export type FileValue =
  | null
  | boolean
  | string
  | number
  | bigint
  | readonly FileValue[]
  | { readonly [key: string]: FileValue };

const OUTERMOST = 'configYAML';

/** Takes the settings of the file. Returns why it is refused, if it is; some were taken then. */
export function applyConfigFile(document: FileValue, collector: FlagCollector): string | undefined {
  if (document !== null && !isMapping(document)) {
    return undecodable(`${jsonKind(document)} into Go value of type embed.${OUTERMOST}`);
  }
  const settings: Setting[] = [];
  const outermost: Section = { type: `embed.${OUTERMOST}`, keys: FILE_KEYS };
  const problem = readSection(document ?? {}, outermost, [], settings);
  if (problem !== undefined) return problem;
  if (document !== null && document['peer-transport-security'] === null) {
    return 'invalid peer-transport-security';
  }
  for (const setting of settings.sort(gatesFirst)) {
    const refusal = take(setting, collector);
    if (refusal !== undefined) return refusal;
  }
  advertiseDefault(collector);
  return undefined;
}

// --- Types -------------------------------------------------------------------------------------------

interface Setting {
  /** As in the file: the names of the sections and of the key, with dots between. */
  readonly path: string;
  readonly key: ValueKey;
  /** Of the flag; empty for an empty text or list, a zero, or false. */
  readonly text: string;
  readonly isEmpty: boolean;
}

/** In the order of the keys, in which etcd's decoder meets them. Returns the first that is wrong. */
function readSection(
  mapping: { readonly [key: string]: FileValue },
  section: Section,
  path: readonly string[],
  into: Setting[],
): string | undefined {
  for (const name of Object.keys(mapping).sort()) {
    const key = keyNamed(section, name);
    const value = mapping[name]!;
    if (key === undefined || value === null) continue;
    const own = [...path, key.name];
    const problem =
      key.section === undefined
        ? readValue(value, key.value!, section, own, into)
        : readNested(value, key.section, section, own, into);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Upper and lower case are the same where no key has the exact name, as in Go. */
function keyNamed(
  section: Section,
  name: string,
): (FileKey & { readonly name: string }) | undefined {
  const own = Object.hasOwn(section.keys, name) ? name : name.toLowerCase();
  return Object.hasOwn(section.keys, own) ? { ...section.keys[own]!, name: own } : undefined;
}

function readNested(
  value: FileValue,
  nested: Section,
  outer: Section,
  path: readonly string[],
  into: Setting[],
): string | undefined {
  if (isMapping(value)) return readSection(value, nested, path, into);
  return mistyped(jsonKind(value), outer, path, nested.type);
}

function readValue(
  value: FileValue,
  key: ValueKey,
  section: Section,
  path: readonly string[],
  into: Setting[],
): string | undefined {
  const read = textOf(value, key.type);
  if ('kind' in read) return mistyped(read.kind, section, path, read.type);
  into.push({ path: path.join('.'), key, ...read });
  return undefined;
}

type ReadText =
  | { readonly text: string; readonly isEmpty: boolean }
  /** What is there, and the type that it is not. */
  | { readonly kind: string; readonly type: string };

function textOf(value: FileValue, type: ValueType): ReadText {
  switch (type) {
    case VALUE_TYPES.string:
    case VALUE_TYPES.v2Deprecation:
      return typeof value === 'string'
        ? { text: value, isEmpty: value === '' }
        : { kind: jsonKind(value), type };
    case VALUE_TYPES.bool:
      return typeof value === 'boolean'
        ? { text: String(value), isEmpty: !value }
        : { kind: jsonKind(value), type };
    case VALUE_TYPES.strings:
      return textOfList(value);
    default:
      return textOfInteger(value, type);
  }
}

function textOfList(value: FileValue): ReadText {
  const type = VALUE_TYPES.strings;
  if (!Array.isArray(value)) return { kind: jsonKind(value), type };
  const texts: string[] = [];
  for (const each of value as readonly FileValue[]) {
    if (each !== null && typeof each !== 'string') return { kind: jsonKind(each), type: 'string' };
    texts.push(each ?? '');
  }
  return { text: texts.join(','), isEmpty: texts.length === 0 };
}

const RANGES: Readonly<Record<string, IntegerRange>> = {
  [VALUE_TYPES.uint]: UINT64,
  [VALUE_TYPES.uint32]: UINT32,
  [VALUE_TYPES.uint64]: UINT64,
  [VALUE_TYPES.int]: INT64,
  [VALUE_TYPES.int64]: INT64,
  [VALUE_TYPES.duration]: INT64,
};

function textOfInteger(value: FileValue, type: ValueType): ReadText {
  const range = RANGES[type];
  invariant(range !== undefined, 'every type of a key is read');
  if (typeof value !== 'bigint' && typeof value !== 'number')
    return { kind: jsonKind(value), type };
  // As a float it was written otherwise, 1e3 say, and is whole.
  const whole = typeof value === 'bigint' || !Number.isInteger(value) ? value : BigInt(value);
  if (typeof whole !== 'bigint' || whole < range.min || whole > range.max) {
    return { kind: `number ${value}`, type };
  }
  const unit = type === VALUE_TYPES.duration ? 'ns' : '';
  return { text: `${whole}${unit}`, isEmpty: whole === 0n };
}

function isMapping(value: FileValue): value is { readonly [key: string]: FileValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function jsonKind(value: FileValue): string {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'bigint':
    case 'number':
      return 'number';
    default:
      return Array.isArray(value) ? 'array' : 'object';
  }
}

function mistyped(kind: string, section: Section, path: readonly string[], type: string): string {
  const struct = section.type.slice(section.type.indexOf('.') + 1);
  const field = [struct, FILE_KEYS[path[0]!]!.owner, ...path].join('.');
  return undecodable(`${kind} into Go struct field ${field} of type ${type}`);
}

function undecodable(text: string): string {
  return `error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${text}`;
}

// --- Flags -------------------------------------------------------------------------------------------

/** Of a file, etcd reads the gates first. */
function gatesFirst(a: Setting, b: Setting): number {
  return Number(b.key.flag === 'feature-gates') - Number(a.key.flag === 'feature-gates');
}

/** Keys that stand for their default where they are empty or 0, as in etcd. */
const EMPTY_IS_DEFAULT: ReadonlySet<string> = new Set([
  'initial-cluster',
  'initial-cluster-state',
  'listen-metrics-urls',
  'self-signed-cert-validity',
  'cors',
  'host-whitelist',
  'feature-gates',
]);

function take({ path, key, text, isEmpty }: Setting, collector: FlagCollector): string | undefined {
  const { flag } = key;
  if (isEmpty && (EMPTY_IS_DEFAULT.has(flag) || key.type === VALUE_TYPES.strings)) return undefined;
  if (key.type === VALUE_TYPES.v2Deprecation) {
    // Any text is one, and has no effect but the warning.
    collector.given.add(flag);
    return undefined;
  }
  const refusal = collector.set(flag, text);
  if (refusal === undefined) return undefined;
  if (flag === 'initial-cluster-state') return `unexpected clusterState ${JSON.stringify(text)}`;
  if (flag === 'feature-gates') return refusal;
  if (flag.endsWith('-urls')) return `unexpected error setting up ${flag}: ${refusal}`;
  return `invalid value ${JSON.stringify(text)} for ${path}: ${refusal}`;
}

/** Unlike the flags, a file may give the addresses to listen on alone. */
function advertiseDefault(collector: FlagCollector): void {
  const { given } = collector;
  if (!given.has('listen-client-urls') || given.has('advertise-client-urls')) return;
  const { 'advertise-client-urls': byDefault } = collector.values();
  const refusal = collector.set(
    'advertise-client-urls',
    byDefault.map(({ text }) => text).join(','),
  );
  invariant(refusal === undefined, 'a default is a value');
}
