// Spans that a service opens itself, where a request is not a call: one watch of a stream, one renewal.

export interface RequestSpan {
  /** Without effect from the second time on, and once the call has ended. */
  end(): void;
}

export interface RequestSpans {
  /** A span within that of `call`; undefined if the call is not traced. */
  begin(
    call: object,
    name: string,
    attributes: Readonly<Record<string, string | number | bigint | boolean>>,
  ): RequestSpan | undefined;
}
