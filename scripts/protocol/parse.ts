// Reads the part of the .proto language that our schemas use, and refuses the rest.

import type {
  SchemaEnum,
  SchemaEnumValue,
  SchemaField,
  SchemaFile,
  SchemaMessage,
  SchemaMethod,
  SchemaOptions,
  SchemaService,
} from './schema.ts';

interface Token {
  readonly text: string;
  readonly line: number;
  /** Lines of comment directly above the token. */
  readonly comment: readonly string[];
}

const TOKEN = /\s*(?:(\/\/[^\n]*)|("[^"]*")|([A-Za-z_][\w.]*|-?\d+)|([{}[\]()<>=;,]))/y;

function tokenize(path: string, source: string): Token[] {
  const tokens: Token[] = [];
  let comment: string[] = [];
  let line = 1;
  TOKEN.lastIndex = 0;
  const end = source.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (match === null) throw new Error(`${path}:${line}: cannot read this`);
    const breaks = match[0].split('\n').length - 1;
    line += breaks;
    const [, note, ...rest] = match;
    if (note !== undefined) {
      // A comment after a token on its line is about that token; it is not needed.
      const trailing = breaks === 0 && from !== 0;
      if (breaks > 1) comment = [];
      if (!trailing) comment.push(note.slice(2).trim());
      continue;
    }
    const text = rest.find((part) => part !== undefined)!;
    tokens.push({ text, line, comment: breaks > 1 ? [] : comment });
    comment = [];
  }
  return tokens;
}

class Parser {
  readonly #path: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #syntax: 'proto2' | 'proto3' = 'proto2';

  constructor(path: string, source: string) {
    this.#path = path;
    this.#tokens = tokenize(path, source);
  }

  file(): SchemaFile {
    const messages: SchemaMessage[] = [];
    const enums: SchemaEnum[] = [];
    const services: SchemaService[] = [];
    let packageName = '';
    while (this.#at < this.#tokens.length) {
      const comment = this.#peek().comment;
      const word = this.#next();
      if (word === 'syntax') {
        this.#expect('=');
        const syntax = this.#string();
        if (syntax !== 'proto2' && syntax !== 'proto3') throw this.#error(`syntax ${syntax}`);
        this.#syntax = syntax;
        this.#expect(';');
      } else if (word === 'package') {
        packageName = this.#next();
        this.#expect(';');
      } else if (word === 'import') {
        this.#string();
        this.#expect(';');
      } else if (word === 'extend') this.#skipBlock();
      else if (word === 'message') messages.push(this.#message(comment));
      else if (word === 'enum') enums.push(this.#enum(comment));
      else if (word === 'service') services.push(this.#service(comment));
      else throw this.#error(`unexpected ${word}`);
    }
    return { path: this.#path, syntax: this.#syntax, packageName, messages, enums, services };
  }

  #message(comment: readonly string[]): SchemaMessage {
    const name = this.#next();
    const options = new Map<string, string[]>();
    const fields: SchemaField[] = [];
    const messages: SchemaMessage[] = [];
    const enums: SchemaEnum[] = [];
    this.#expect('{');
    while (!this.#accept('}')) {
      const note = this.#peek().comment;
      if (this.#accept('option')) this.#option(options);
      else if (this.#accept('message')) messages.push(this.#message(note));
      else if (this.#accept('enum')) enums.push(this.#enum(note));
      else if (this.#accept('oneof')) {
        const oneof = this.#next();
        this.#expect('{');
        while (!this.#accept('}')) fields.push(this.#field(oneof));
      } else fields.push(this.#field(undefined));
    }
    return { name, comment, options, fields, messages, enums };
  }

  #field(oneof: string | undefined): SchemaField {
    const comment = this.#peek().comment;
    const repeated = this.#accept('repeated');
    const optional = !repeated && this.#accept('optional');
    if (optional !== (this.#syntax === 'proto2' && !repeated)) {
      throw this.#error('proto2 fields are optional or repeated, proto3 fields are not optional');
    }
    let type = this.#next();
    let keyType: string | undefined;
    if (type === 'map') {
      this.#expect('<');
      keyType = this.#next();
      this.#expect(',');
      type = this.#next();
      this.#expect('>');
    }
    const name = this.#next();
    this.#expect('=');
    const number = this.#integer();
    const options = this.#bracketOptions();
    this.#expect(';');
    return { name, comment, number, type, keyType, repeated, oneof, options };
  }

  #enum(comment: readonly string[]): SchemaEnum {
    const name = this.#next();
    const options = new Map<string, string[]>();
    const values: SchemaEnumValue[] = [];
    this.#expect('{');
    while (!this.#accept('}')) {
      if (this.#accept('option')) {
        this.#option(options);
        continue;
      }
      const value = this.#next();
      this.#expect('=');
      const number = this.#integer();
      const valueOptions = this.#bracketOptions();
      this.#expect(';');
      values.push({ name: value, number, options: valueOptions });
    }
    return { name, comment, options, values };
  }

  #service(comment: readonly string[]): SchemaService {
    const name = this.#next();
    const methods: SchemaMethod[] = [];
    this.#expect('{');
    while (!this.#accept('}')) methods.push(this.#method());
    return { name, comment, methods };
  }

  #method(): SchemaMethod {
    const comment = this.#peek().comment;
    this.#expect('rpc');
    const name = this.#next();
    const options = new Map<string, string[]>();
    this.#expect('(');
    const clientStreaming = this.#accept('stream');
    const request = this.#next();
    this.#expect(')');
    this.#expect('returns');
    this.#expect('(');
    const serverStreaming = this.#accept('stream');
    const response = this.#next();
    this.#expect(')');
    if (this.#accept('{')) {
      while (!this.#accept('}')) {
        this.#expect('option');
        this.#option(options);
      }
    } else this.#expect(';');
    return { name, comment, request, response, clientStreaming, serverStreaming, options };
  }

  /** `(name) = value;` */
  #option(options: Map<string, string[]>): void {
    this.#assignment(options);
    this.#expect(';');
  }

  #bracketOptions(): SchemaOptions {
    const options = new Map<string, string[]>();
    if (this.#accept('[')) {
      do this.#assignment(options);
      while (this.#accept(','));
      this.#expect(']');
    }
    return options;
  }

  #assignment(options: Map<string, string[]>): void {
    this.#expect('(');
    const name = this.#next();
    this.#expect(')');
    this.#expect('=');
    const value = this.#next();
    const values = options.get(name) ?? [];
    values.push(value.startsWith('"') ? value.slice(1, -1) : value);
    options.set(name, values);
  }

  #skipBlock(): void {
    while (this.#next() !== '}');
  }

  #peek(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw this.#error('unexpected end of file');
    return token;
  }

  #next(): string {
    const token = this.#peek();
    this.#at++;
    return token.text;
  }

  #accept(text: string): boolean {
    if (this.#peek().text !== text) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    const found = this.#next();
    if (found !== text) throw this.#error(`expected ${text}, found ${found}`);
  }

  #string(): string {
    const text = this.#next();
    if (!text.startsWith('"')) throw this.#error(`expected a string, found ${text}`);
    return text.slice(1, -1);
  }

  #integer(): number {
    const text = this.#next();
    if (!/^-?\d+$/.test(text)) throw this.#error(`expected an integer, found ${text}`);
    return Number(text);
  }

  #error(problem: string): Error {
    const line = this.#tokens[Math.max(0, this.#at - 1)]?.line ?? 1;
    return new Error(`${this.#path}.proto:${line}: ${problem}`);
  }
}

/** `path` is below the schema folder, without `.proto`. Throws an Error with path and line. */
export function parseSchema(path: string, source: string): SchemaFile {
  return new Parser(path, source).file();
}
