// A client of etcd's gRPC API that shares no code with ours: @grpc/grpc-js for the wire, protobufjs
// over the schema files for the messages.
//
// Messages are plain objects under etcd's own field names. Bytes are latin1 strings (one char per
// byte) and 64-bit integers decimal strings, both ways. A decoded message has every field.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Client as GrpcClient,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { REPOSITORY } from './real-etcd.ts';

export type Value =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Value[]
  | { readonly [field: string]: Value };
export type Message = { readonly [field: string]: Value };

/** What a call ended with: gRPC code and text, and the response if the code is 0. */
export interface Reply {
  readonly code: number;
  readonly details: string;
  readonly message?: Message;
}

const SCHEMA = join(REPOSITORY, 'src', 'protocol', 'schema');
const FILES = [
  ...['kv', 'watch', 'lease', 'maintenance', 'cluster', 'auth'].map(
    (name) => `etcdserverpb/${name}.proto`,
  ),
  ...['v3lockpb.proto', 'v3electionpb.proto'],
];
/** Services that are not in package `etcdserverpb`. */
const PACKAGES: Readonly<Record<string, string>> = { Lock: 'v3lockpb', Election: 'v3electionpb' };

let loaded: protobuf.Root | undefined;

function schema(): protobuf.Root {
  if (loaded === undefined) {
    const library = dirname(createRequire(import.meta.url).resolve('protobufjs/package.json'));
    const root = new protobuf.Root();
    root.resolvePath = (_origin, target) =>
      target.startsWith('google/') ? join(library, target) : join(SCHEMA, target);
    root.loadSync(FILES, { keepCase: true });
    root.resolveAll();
    loaded = root;
  }
  return loaded;
}

/** Latin1 strings in bytes fields become buffers, all the way down. */
function withBytes(type: protobuf.Type, message: Message): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    const field = type.fields[name];
    if (field === undefined) throw new Error(`${type.name} has no field ${name}`);
    const convert = (one: Value): unknown => {
      if (field.type === 'bytes') return Buffer.from(one as string, 'latin1');
      return field.resolvedType instanceof protobuf.Type
        ? withBytes(field.resolvedType, one as Message)
        : one;
    };
    if (value === undefined || value === null) continue;
    result[name] = field.repeated ? (value as readonly Value[]).map(convert) : convert(value);
  }
  return result;
}

function withLatin1(value: unknown): Value {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (Array.isArray(value)) return value.map(withLatin1);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withLatin1(one)]));
  }
  return value as Value;
}

/** A name without a package is one of `etcdserverpb`. */
function typeOf(name: string): protobuf.Type {
  return schema().lookupType(name.includes('.') ? name : `etcdserverpb.${name}`);
}

export function encode(typeName: string, message: Message): Buffer {
  const type = typeOf(typeName);
  return Buffer.from(type.encode(type.fromObject(withBytes(type, message))).finish());
}

export function decode(typeName: string, bytes: Uint8Array): Message {
  const type = typeOf(typeName);
  const plain = type.toObject(type.decode(bytes), { longs: String, defaults: true });
  return withLatin1(plain) as Message;
}

interface Method {
  readonly path: string;
  readonly requestType: string;
  readonly responseType: string;
}

/** `rpc` is `Service/Method`, as `KV/Range`. */
function methodOf(rpc: string): Method {
  const [service, name] = rpc.split('/') as [string, string];
  const pkg = PACKAGES[service] ?? 'etcdserverpb';
  const method = schema().lookupService(`${pkg}.${service}`).methods[name];
  method?.resolve();
  const { resolvedRequestType: request, resolvedResponseType: response } = method ?? {};
  if (!request || !response) throw new Error(`no method ${rpc}`);
  const [requestType, responseType] = [request.fullName, response.fullName];
  return { path: `/${pkg}.${service}/${name}`, requestType, responseType };
}

const identity = (bytes: Buffer): Buffer => bytes;

export interface CallOptions {
  readonly timeoutMs?: number;
  /** For an answer that the decoder here cannot hold: an empty message in its place. */
  readonly undecoded?: boolean;
  /** Its abort cancels the call. */
  readonly signal?: AbortSignal;
  /** In whose name. */
  readonly token?: string | undefined;
  /** Further metadata. */
  readonly metadata?: Metadata;
}

function metadataOf(token: string | undefined, more?: Metadata): Metadata {
  const metadata = more?.clone() ?? new Metadata();
  if (token !== undefined) metadata.set('token', token);
  return metadata;
}

/** PEM: whom to trust, and the client's own certificate. */
export interface ClientPem {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

function credentialsOf(tls: ClientPem | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const [ca, key, cert] = [tls.ca, tls.key, tls.cert].map((pem) => pem && Buffer.from(pem));
  return credentials.createSsl(ca as Buffer, key as Buffer | null, cert as Buffer | null);
}

/** In whose name a client calls. */
export interface Login {
  readonly name: string;
  readonly password: string;
}

/** Not every method of 3.5 has a code for it. */
const TOKEN_REFUSED = /invalid auth token$/;

export class ApiClient {
  readonly #client: GrpcClient;
  #login: Login | undefined;
  /** The answer to the newest login, which calls share until its token is refused. */
  #session: Promise<Reply> | undefined;

  /** Over TLS if there is an authority to trust. */
  constructor(endpoint: string, tls?: ClientPem) {
    this.#client = new GrpcClient(endpoint, credentialsOf(tls), {
      // Addresses are no server names (RFC 6066 section 3).
      ...(tls === undefined ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // Each client has its own connection.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 20,
      'grpc.max_reconnect_backoff_ms': 100,
    });
  }

  /** From now on calls without a token are in this name; it logs in whenever it has to. */
  logInAs(login: Login): void {
    this.#login = login;
    this.#session = undefined;
  }

  /** The token for a stream, nothing without {@link logInAs}; rejects when the login fails. */
  async token(): Promise<string | undefined> {
    if (this.#login === undefined) return undefined;
    const { message, code, details } = await this.#logIn(this.#login, {});
    if (message === undefined) throw new Error(`login of ${this.#login.name}: ${code} ${details}`);
    return String(message['token']);
  }

  /** The next call logs in: the token was refused. */
  forgetToken(): void {
    this.#session = undefined;
  }

  /** Resolves with any outcome; after `timeoutMs` (30 s) with code 4. */
  call(rpc: string, request: Message, options: CallOptions = {}): Promise<Reply> {
    return this.callRaw(rpc, encode(methodOf(rpc).requestType, request), options);
  }

  /** As `call`, with the request's bytes as they are. */
  async callRaw(rpc: string, request: Buffer, options: CallOptions = {}): Promise<Reply> {
    const login = this.#login;
    if (login === undefined || options.token !== undefined) {
      return this.#send(rpc, request, options);
    }
    for (let attempt = 1; ; attempt++) {
      const session = await this.#logIn(login, options);
      if (session.message === undefined) return session;
      const token = String(session.message['token']);
      const reply = await this.#send(rpc, request, { ...options, token });
      // A simple token ends with the process that issued it.
      if (!TOKEN_REFUSED.test(reply.details) || attempt === 2) return reply;
      if ((await this.#session) === session) this.#session = undefined;
    }
  }

  async #logIn(login: Login, { timeoutMs, signal }: CallOptions): Promise<Reply> {
    const options = { ...(timeoutMs && { timeoutMs }), ...(signal && { signal }) };
    const request = encode('AuthenticateRequest', { ...login });
    this.#session ??= this.#send('Auth/Authenticate', request, options);
    const session = this.#session;
    const reply = await session;
    if (reply.message === undefined && this.#session === session) this.#session = undefined;
    return reply;
  }

  #send(rpc: string, request: Buffer, options: CallOptions): Promise<Reply> {
    const { path, responseType } = methodOf(rpc);
    const deadline = Date.now() + (options.timeoutMs ?? 30_000);
    return new Promise((resolve) => {
      const call = this.#client.makeUnaryRequest(
        path,
        identity,
        identity,
        request,
        metadataOf(options.token, options.metadata),
        { deadline },
        (error: ServiceError | null, response?: Buffer) => {
          if (error !== null) resolve({ code: error.code, details: error.details });
          else if (options.undecoded) resolve({ code: 0, details: '', message: {} });
          else resolve({ code: 0, details: '', message: decode(responseType, response!) });
        },
      );
      options.signal?.addEventListener('abort', () => call.cancel());
    });
  }

  /** As `call`; an error status rejects. */
  async must(rpc: string, request: Message, options: CallOptions = {}): Promise<Message> {
    const reply = await this.call(rpc, request, options);
    if (reply.message === undefined) {
      throw new Error(`${rpc} ${JSON.stringify(request)}: ${reply.code} ${reply.details}`);
    }
    return reply.message;
  }

  stream(rpc: string, token?: string): ApiStream {
    const { path, requestType, responseType } = methodOf(rpc);
    const duplex = this.#client.makeBidiStreamRequest(path, identity, identity, metadataOf(token));
    return new ApiStream(duplex, requestType, responseType);
  }

  /** A server stream, begun with its one request. */
  serverStream(rpc: string, request: Message, token?: string): ApiStream {
    const { path, requestType, responseType } = methodOf(rpc);
    const bytes = encode(requestType, request);
    const readable: ClientReadableStream<Buffer> = this.#client.makeServerStreamRequest(
      ...([path, identity, identity, bytes, metadataOf(token)] as const),
    );
    return new ApiStream(readable, requestType, responseType);
  }

  /** All messages of a server stream; rejects on an error status. */
  collect(rpc: string, request: Message, token?: string): Promise<Message[]> {
    const { path, requestType, responseType } = methodOf(rpc);
    const stream: ClientReadableStream<Buffer> = this.#client.makeServerStreamRequest(
      path,
      identity,
      identity,
      encode(requestType, request),
      metadataOf(token),
    );
    return new Promise((resolve, reject) => {
      const messages: Message[] = [];
      stream.on('data', (bytes: Buffer) => messages.push(decode(responseType, bytes)));
      stream.on('error', reject);
      stream.on('end', () => resolve(messages));
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** A stream; what arrives is kept in `received`. */
export class ApiStream {
  readonly received: Message[] = [];
  /** Set when the stream has ended. */
  ended: { readonly code: number; readonly details: string } | undefined;
  readonly #stream: ClientDuplexStream<Buffer, Buffer> | ClientReadableStream<Buffer>;
  readonly #requestType: string;
  #wake: (() => void)[] = [];

  constructor(
    stream: ClientDuplexStream<Buffer, Buffer> | ClientReadableStream<Buffer>,
    requestType: string,
    responseType: string,
  ) {
    this.#stream = stream;
    this.#requestType = requestType;
    const changed = (): void => {
      for (const wake of this.#wake.splice(0)) wake();
    };
    stream.on('data', (bytes: Buffer) => {
      this.received.push(decode(responseType, bytes));
      changed();
    });
    stream.on('error', () => {});
    stream.on('status', (status: { code: number; details: string }) => {
      this.ended = { code: status.code, details: status.details };
      changed();
    });
  }

  send(message: Message): void {
    if ('write' in this.#stream) this.#stream.write(encode(this.#requestType, message));
  }

  /** Reads no more until `resume`, so that the sender's window closes. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** A message as it stands, which may be none. */
  sendRaw(bytes: Buffer): void {
    if ('write' in this.#stream) this.#stream.write(bytes);
  }

  /** Resolves true when `holds()` does, looking after each message; false after `timeoutMs`. */
  async until(holds: () => boolean, timeoutMs = 10_000): Promise<boolean> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      for (const wake of this.#wake.splice(0)) wake();
    }, timeoutMs);
    while (!late && !holds() && this.ended === undefined) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    clearTimeout(timer);
    return holds();
  }

  end(): void {
    if ('end' in this.#stream) this.#stream.end();
  }

  cancel(): void {
    this.#stream.cancel();
  }
}
