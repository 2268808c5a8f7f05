// Results in JSON and on the console. Bytes are shown as text or, if they are not UTF-8, as
// `{ base64: … }`; ids (every bigint) in hexadecimal, as in etcdctl and the logs.

/** The symbol that `node:util` inspects; global, so that no module is needed. */
const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom');

/** Base of results that `JSON.stringify` and `console.log` show in readable form. */
export class Printed {
  toJSON(): unknown {
    return plainFields(this);
  }

  [INSPECT](): unknown {
    return plainFields(this);
  }
}

/** Makes `fields` printable: the object itself, not the objects in it. */
export function printed<T extends object>(fields: T): T {
  return Object.setPrototypeOf(fields, Printed.prototype) as T;
}

/** As `printed`, for all objects in it too. For messages with few of them. */
export function printedDeep<T extends object>(message: T): T {
  for (const value of Object.values(message)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (isMessage(each)) printedDeep(each);
    }
  }
  return printed(message);
}

function isMessage(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

function plainFields(value: object): Record<string, unknown> {
  const fields = Object.entries(value).map(([name, field]) => [name, plain(field)] as const);
  return Object.fromEntries(fields);
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString(16);
  if (value instanceof Uint8Array) return textOrBase64(value);
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === 'object' && value !== null ? plainFields(value) : value;
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOrBase64(bytes: Uint8Array): unknown {
  try {
    return STRICT_UTF8.decode(bytes);
  } catch {
    const { buffer, byteOffset, byteLength } = bytes;
    return { base64: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
  }
}
