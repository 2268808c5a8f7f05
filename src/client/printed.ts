// Results as JSON and on the console. Bytes are shown as the text that they are, or, if they are no
// UTF-8, as `{ base64: … }`; ids (every bigint) in hexadecimal, as etcdctl and the logs have them.

/** What `node:util` asks for; the symbol is global, so no module is needed. */
const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom');

/** Objects of this kind can be given to `JSON.stringify` and `console.log`. */
export class Printed {
  toJSON(): unknown {
    return plainFields(this);
  }

  [INSPECT](): unknown {
    return plainFields(this);
  }
}

/** Makes an object that can be printed of `fields`: of the object itself, not of what it holds. */
export function printed<T extends object>(fields: T): T {
  return Object.setPrototypeOf(fields, Printed.prototype) as T;
}

/** As `printed`, of all objects in it too. For messages with few of them. */
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
