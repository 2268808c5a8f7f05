// Where JSON values begin and end in bytes that come piece by piece, and what is no JSON at all, in the words
// of Go's encoding/json, which reads the bodies of etcd's gateway. What it lets pass holds to the grammar;
// whether strings are text is the reader's to check.

import { ERROR_CODES, goQuote, TetcdError } from '../../base/index.ts';
import { JSON_DEPTH_MAX } from '../limits.ts';

/** States of the scanner: what the next byte may be. */
const STATE = {
  VALUE: 0,
  VALUE_OR_CLOSE: 1,
  KEY: 2,
  KEY_OR_CLOSE: 3,
  AFTER_VALUE: 4,
  STRING: 5,
  ESCAPE: 6,
  HEX: 7,
  MINUS: 8,
  ZERO: 9,
  INTEGER: 10,
  POINT: 11,
  FRACTION: 12,
  EXPONENT: 13,
  EXPONENT_SIGN: 14,
  EXPONENT_DIGITS: 15,
  LITERAL: 16,
} as const;

/** What a value is inside of. */
const INSIDE = { KEY: 0, OBJECT: 1, ARRAY: 2 } as const;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const LITERALS: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' };

export class JsonScanner {
  #state: number = STATE.VALUE;
  readonly #stack: number[] = [];
  /** Hexadecimal digits that an escape still wants. */
  #hexLeft = 0;
  #literal = '';
  #literalAt = 0;
  #started = false;
  /** The value that ended last took its last byte with it; a number ends before a byte of others. */
  #endsWithin = true;

  /** Whether the first byte of a value has come, and not yet its last. */
  get isInside(): boolean {
    return this.#started;
  }

  /**
   * Goes on with the bytes from `from` to `to`. Returns the offset after the value, or -1 if it does not end
   * there; then the next call takes what follows. MALFORMED for what is no JSON.
   */
  scan(bytes: Uint8Array, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (this.#state === STATE.STRING) {
        if (byte !== QUOTE && byte !== BACKSLASH && byte >= 0x20) continue;
      } else if (isSpace(byte) && this.#allowsSpace()) continue;
      this.#started = true;
      if (this.#step(byte)) continue;
      this.#reset();
      return this.#endsWithin ? at + 1 : at;
    }
    return -1;
  }

  /** No more bytes follow: whether a value ends here. MALFORMED in the middle of one. */
  end(): boolean {
    if (!this.#started) return false;
    const isNumber = this.#stack.length === 0 && this.#mayEndNumber();
    if (!isNumber) throw new TetcdError(ERROR_CODES.MALFORMED, 'unexpected EOF');
    this.#reset();
    return true;
  }

  #reset(): void {
    this.#state = STATE.VALUE;
    this.#started = false;
    this.#stack.length = 0;
  }

  #allowsSpace(): boolean {
    return this.#state <= STATE.AFTER_VALUE;
  }

  #mayEndNumber(): boolean {
    const state = this.#state;
    return (
      state === STATE.ZERO ||
      state === STATE.INTEGER ||
      state === STATE.FRACTION ||
      state === STATE.EXPONENT_DIGITS
    );
  }

  /** Takes a byte; false when the outermost value has ended, with this byte or before it. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case STATE.VALUE_OR_CLOSE:
        if (byte === 0x5d) return this.#close();
        return this.#begin(byte);
      case STATE.VALUE:
        return this.#begin(byte);
      case STATE.KEY_OR_CLOSE:
        if (byte === 0x7d) return this.#close();
        return this.#beginKey(byte);
      case STATE.KEY:
        return this.#beginKey(byte);
      case STATE.AFTER_VALUE:
        return this.#afterValue(byte);
      case STATE.STRING:
        return this.#inString(byte);
      case STATE.ESCAPE:
        return this.#escape(byte);
      case STATE.HEX:
        if (!isHex(byte)) throw failure(byte, 'in \\u hexadecimal character escape');
        if (--this.#hexLeft === 0) this.#state = STATE.STRING;
        return true;
      case STATE.LITERAL:
        return this.#inLiteral(byte);
      default:
        return this.#inNumber(byte);
    }
  }

  #begin(byte: number): boolean {
    if (byte === 0x7b) return this.#open(INSIDE.KEY, STATE.KEY_OR_CLOSE, byte);
    if (byte === 0x5b) return this.#open(INSIDE.ARRAY, STATE.VALUE_OR_CLOSE, byte);
    if (byte === QUOTE) this.#state = STATE.STRING;
    else if (byte === 0x2d) this.#state = STATE.MINUS;
    else if (byte === 0x30) this.#state = STATE.ZERO;
    else if (isDigit(byte)) this.#state = STATE.INTEGER;
    else {
      const literal = LITERALS[String.fromCharCode(byte)];
      if (literal === undefined) throw failure(byte, 'looking for beginning of value');
      this.#literal = literal;
      this.#literalAt = 1;
      this.#state = STATE.LITERAL;
    }
    return true;
  }

  #open(inside: number, state: number, byte: number): boolean {
    if (this.#stack.length >= JSON_DEPTH_MAX) throw failure(byte, 'exceeded max depth');
    this.#stack.push(inside);
    this.#state = state;
    return true;
  }

  #close(): boolean {
    this.#stack.pop();
    return this.#ended();
  }

  /** A value has ended with the byte at hand. */
  #ended(): boolean {
    this.#state = STATE.AFTER_VALUE;
    this.#endsWithin = true;
    return this.#stack.length > 0;
  }

  #beginKey(byte: number): boolean {
    if (byte !== QUOTE) throw failure(byte, 'looking for beginning of object key string');
    this.#state = STATE.STRING;
    return true;
  }

  #afterValue(byte: number): boolean {
    const top = this.#stack.length - 1;
    switch (this.#stack[top]) {
      case INSIDE.KEY:
        if (byte !== 0x3a) throw failure(byte, 'after object key');
        this.#stack[top] = INSIDE.OBJECT;
        this.#state = STATE.VALUE;
        return true;
      case INSIDE.OBJECT:
        if (byte === 0x7d) return this.#close();
        if (byte !== 0x2c) throw failure(byte, 'after object key:value pair');
        this.#stack[top] = INSIDE.KEY;
        this.#state = STATE.KEY;
        return true;
      default:
        if (byte === 0x5d) return this.#close();
        if (byte !== 0x2c) throw failure(byte, 'after array element');
        this.#state = STATE.VALUE;
        return true;
    }
  }

  #inString(byte: number): boolean {
    if (byte === QUOTE) return this.#ended();
    if (byte !== BACKSLASH) throw failure(byte, 'in string literal');
    this.#state = STATE.ESCAPE;
    return true;
  }

  #escape(byte: number): boolean {
    if (byte === 0x75) {
      this.#hexLeft = 4;
      this.#state = STATE.HEX;
    } else if ('"\\/bfnrt'.includes(String.fromCharCode(byte))) this.#state = STATE.STRING;
    else throw failure(byte, 'in string escape code');
    return true;
  }

  #inLiteral(byte: number): boolean {
    const expected = this.#literal.charAt(this.#literalAt);
    if (byte !== expected.charCodeAt(0)) {
      throw failure(byte, `in literal ${this.#literal} (expecting '${expected}')`);
    }
    return ++this.#literalAt < this.#literal.length || this.#ended();
  }

  #inNumber(byte: number): boolean {
    const state = this.#state;
    const digit = isDigit(byte);
    switch (state) {
      case STATE.MINUS:
        if (!digit) throw failure(byte, 'in numeric literal');
        this.#state = byte === 0x30 ? STATE.ZERO : STATE.INTEGER;
        return true;
      case STATE.POINT:
        if (!digit) throw failure(byte, 'after decimal point in numeric literal');
        this.#state = STATE.FRACTION;
        return true;
      case STATE.EXPONENT:
      case STATE.EXPONENT_SIGN:
        if (state === STATE.EXPONENT && (byte === 0x2b || byte === 0x2d)) {
          this.#state = STATE.EXPONENT_SIGN;
          return true;
        }
        if (!digit) throw failure(byte, 'in exponent of numeric literal');
        this.#state = STATE.EXPONENT_DIGITS;
        return true;
    }
    if (digit && state !== STATE.ZERO) return true;
    if (byte === 0x2e && (state === STATE.ZERO || state === STATE.INTEGER)) {
      this.#state = STATE.POINT;
      return true;
    }
    if ((byte === 0x65 || byte === 0x45) && state !== STATE.EXPONENT_DIGITS) {
      this.#state = STATE.EXPONENT;
      return true;
    }
    return this.#afterNumber(byte);
  }

  /** A number has ended before the byte at hand. */
  #afterNumber(byte: number): boolean {
    if (!this.#ended()) {
      this.#endsWithin = false;
      return false;
    }
    return isSpace(byte) || this.#afterValue(byte);
  }
}

export function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHex(byte: number): boolean {
  return isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

function failure(byte: number, where: string): TetcdError {
  const char = String.fromCharCode(byte);
  const quoted = char === "'" ? "\\'" : char === '"' ? '"' : goQuote(char).slice(1, -1);
  return new TetcdError(ERROR_CODES.MALFORMED, `invalid character '${quoted}' ${where}`);
}
