// Checks of arguments at run time, for callers without a type checker, before anything is sent. Each
// error is INVALID_ARGUMENT and names the argument and its actual type.

import { invalidArgument } from './errors.ts';

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

export function checkBytes(value: unknown, name: string): void {
  if (typeof value === 'string' || value instanceof Uint8Array) return;
  throw wrong(name, 'a string or a Uint8Array', value);
}

export function checkText(value: unknown, name: string): void {
  if (typeof value !== 'string') throw wrong(name, 'a string', value);
}

/** A text that is never shown in an error, whatever its type. */
export function checkSecret(value: unknown, name: string): void {
  if (typeof value === 'string') return;
  throw invalidArgument(`${name} must be a string, not ${value === null ? 'null' : typeof value}`);
}

export function checkTexts(value: unknown, name: string): void {
  if (!Array.isArray(value)) throw wrong(name, 'an array of strings', value);
  for (const each of value) checkText(each, `each of ${name}`);
}

/** An id of a lease, a member or a cluster: 64 bits. */
export function checkId(value: unknown, name: string): void {
  if (typeof value !== 'bigint') throw wrong(name, 'a bigint', value);
  if (value < INT64_MIN || value > UINT64_MAX)
    throw invalidArgument(`${name} has over 64 bits: ${value}`);
}

/** The server takes all of int64; beyond 2^53 it is clamped. */
export function checkInteger(value: unknown, name: string): void {
  if (typeof value !== 'number') throw wrong(name, 'a number', value);
  if (Number.isInteger(value) && Math.abs(value) <= 2 ** 53) return;
  throw invalidArgument(`${name} is not an integer within 2^53: ${value}`);
}

/** Infinity included. */
export function checkNumber(value: unknown, name: string): void {
  if (typeof value !== 'number') throw wrong(name, 'a number', value);
  if (Number.isNaN(value)) throw invalidArgument(`${name} is not a number: NaN`);
}

/** One of `names`. */
export function checkName(value: unknown, names: readonly string[], name: string): void {
  if (typeof value === 'string' && names.includes(value)) return;
  const known = names.map((each) => `'${each}'`).join(', ');
  throw invalidArgument(`${name} must be one of ${known}, not ${shown(value)}`);
}

export function checkObject(value: unknown, name: string): void {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject || value instanceof Uint8Array) throw wrong(name, 'an object', value);
}

/**
 * Checks the fields of a message given by a user against `example`, a message with all its fields. The
 * fields of nested messages are not checked.
 */
export function checkFields(message: unknown, example: object): void {
  checkObject(message, 'request');
  for (const [name, value] of Object.entries(message as object)) {
    if (!Object.hasOwn(example, name)) throw invalidArgument(`request has no field ${name}`);
    const model = (example as Record<string, unknown>)[name];
    // A message or one of several kinds: either may be left out.
    if (model === undefined) continue;
    if (kindOf(value) !== kindOf(model)) throw wrong(`request.${name}`, kindOf(model), value);
  }
}

function kindOf(value: unknown): string {
  if (value instanceof Uint8Array) return 'a Uint8Array';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

/** `options` is an object; those of its fields in `names` are booleans, if they are there. */
export function checkFlags(options: object, names: readonly string[]): void {
  checkObject(options, 'options');
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined && typeof value !== 'boolean') throw wrong(name, 'a boolean', value);
  }
}

/** The options of every call. */
export function checkCallOptions(options: object): void {
  checkFlags(options, ['requireLeader']);
  const { timeoutMs, signal } = options as { timeoutMs?: unknown; signal?: unknown };
  if (timeoutMs !== undefined) checkNumber(timeoutMs, 'timeoutMs');
  if (signal !== undefined) checkSignal(signal);
}

function checkSignal(signal: unknown): void {
  if (!(signal instanceof AbortSignal)) throw wrong('signal', 'an AbortSignal', signal);
}

function wrong(name: string, wanted: string, value: unknown): Error {
  return invalidArgument(`${name} must be ${wanted}, not ${shown(value)}`);
}

function shown(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'number') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
