// The few functions of the JavaScript runtime that pure code may use, declared by hand: pure folders
// compile with no platform types, so files, sockets, timers and `process` do not type-check there.
// `Buffer` is declared as far as byte/string conversion needs it and no further.

interface Buffer extends Uint8Array {
  latin1Slice(start?: number, end?: number): string;
  utf8Slice(start?: number, end?: number): string;
  latin1Write(text: string, offset?: number, length?: number): number;
  utf8Write(text: string, offset?: number, length?: number): number;
}

declare const Buffer: {
  readonly prototype: Buffer;
  byteLength(text: string, encoding?: 'utf8'): number;
};

/** Missing with `--jitless`. */
declare const WebAssembly:
  | {
      readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (
        module: object,
        imports: { readonly env: { readonly memory: object } },
      ) => { readonly exports: Readonly<Record<string, unknown>> };
    }
  | undefined;
