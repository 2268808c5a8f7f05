// Services and their methods, as data.

import type { GeneratedCodec } from './wire/generated-codec.ts';

/** A method of a service: its path, and codecs of what it takes and gives. */
export interface MethodDescriptor<Request, RequestInit, Response, ResponseInit> {
  /** As in the schema, such as `DeleteRange`. */
  readonly name: string;
  /** gRPC path, such as `/etcdserverpb.KV/DeleteRange`. */
  readonly path: string;
  readonly request: GeneratedCodec<Request, RequestInit>;
  readonly response: GeneratedCodec<Response, ResponseInit>;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  /** Paths where the JSON gateway serves it by POST; none if it does not. */
  readonly httpPosts: readonly string[];
}

export interface ServiceDescriptor {
  /** Full protobuf name, such as `etcdserverpb.KV`. */
  readonly name: string;
  readonly methods: Readonly<Record<string, MethodDescriptor<unknown, unknown, unknown, unknown>>>;
}
