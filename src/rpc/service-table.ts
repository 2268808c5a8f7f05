// All served methods by path: descriptor, traits, handler. Services fill the table; dispatchers (gRPC,
// calls inside this process) read it. Guards run before every handler.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import type { StreamHandler } from '../grpc/index.ts';
import { type MethodDescriptor, wasPlain } from '../protocol/index.ts';
import type { Call, StreamCall, UnaryCall } from './call.ts';
import { failMalformed, type RpcStatus } from './status.ts';

/** Kinds of methods, as gRPC's metrics name them. */
export type MethodKind = 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream';

/** Who may call a method while authentication is on. */
type MethodAccess =
  | 'everybody'
  /** Callers with a valid token, or none: permissions are checked when the request is applied. */
  | 'token'
  /** Authenticated callers. */
  | 'user'
  /** Users with the role `root`. */
  | 'root'
  /** The handler decides: it checks once the keys, or the state to read from, are known. */
  | 'handler';

/** Properties of a method for the guards. Each is false by default. */
export interface MethodTraits<Request = unknown> {
  /** Who may call it, or make this request; default `root`. */
  readonly access?: MethodAccess | ((request: Request) => MethodAccess);
  /** Throws an EtcdError for an invalid request, whatever the state of the member. */
  readonly check?: (request: Request) => void;
  /** Whether a learner serves it, or this request of it. */
  readonly servedByLearner?: boolean | ((request: Request) => boolean);
  /** Whether it is served without a leader even to a client that requires one (`hasleader` metadata). */
  readonly servedWithoutLeader?: boolean;
  /** Whether the client decides how long what it creates stays in memory. */
  readonly holdsMemory?: boolean;
}

interface AnyEntry {
  readonly descriptor: MethodDescriptor<unknown, unknown, unknown, unknown>;
  readonly traits: MethodTraits;
}

export interface UnaryEntry extends AnyEntry {
  readonly kind: 'unary';
  /** Answers the call, now or later; `bytes` are valid during this call only. */
  readonly serve: (call: UnaryCall, bytes: Uint8Array) => void;
}

export interface StreamEntry extends AnyEntry {
  readonly kind: Exclude<MethodKind, 'unary'>;
  /** Opens the stream; the call may have ended when this returns. */
  readonly open: (call: StreamCall) => StreamHandler;
}

type ServiceEntry = UnaryEntry | StreamEntry;

/**
 * Runs before the handler; a status that it returns is the answer. `request` is the decoded request of
 * a unary call, and undefined for a stream, whose guards run when it opens.
 */
export type Guard = (call: Call, entry: ServiceEntry, request: unknown) => RpcStatus | undefined;

/** A {@link Guard} of unary calls that may take several turns; the call may end meanwhile. */
export type Gate = (
  call: UnaryCall,
  entry: UnaryEntry,
  request: unknown,
) => RpcStatus | undefined | Promise<RpcStatus | undefined>;

/**
 * Answers a unary call. `bytes` are the encoded request, for the log: the client's own bytes, or a new
 * encoding where some release of etcd would refuse them or read them differently.
 */
export type UnaryHandler<Request> = (call: UnaryCall, request: Request, bytes: Uint8Array) => void;

/** Receives a stream's events from the first message on. */
export type StreamOpener = (call: StreamCall) => StreamHandler;

/** Handler of a stream that a guard refused: ignores messages that were in flight. */
const REFUSED: StreamHandler = {
  onMessage: () => {},
  onEnd: () => {},
  onCancel: () => {},
  onDrain: () => {},
};

/** Puts something around handlers, behind the guards; asked once for each method. */
export interface Around {
  unary<Request>(path: string, handler: UnaryHandler<Request>): UnaryHandler<Request>;
  stream(path: string, opener: StreamOpener): StreamOpener;
}

export class ServiceTable {
  readonly #guards: readonly Guard[];
  readonly #gate: Gate | undefined;
  readonly #around: Around | undefined;
  readonly #entries = new Map<string, ServiceEntry>();

  /** Guards run in this order, up to the first refusal; then the gate. */
  constructor(guards: readonly Guard[] = [], gate?: Gate, around?: Around) {
    this.#guards = guards;
    this.#gate = gate;
    this.#around = around;
  }

  /**
   * Registers a unary method. INVALID_ARGUMENT if its path is taken, or if it streams. `read` reads a
   * request as the method's codec does, which does it by default.
   */
  unary<Request, RequestInit, Response, ResponseInit, Read extends Request = Request>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    inner: UnaryHandler<Read>,
    traits: MethodTraits<Read> = {},
    read: (bytes: Uint8Array) => Read = (bytes) => method.request.decodeRequest(bytes) as Read,
  ): void {
    if (kindOf(method) !== 'unary') throw unfit(method.path, 'streams');
    const handler = this.#around?.unary(method.path, inner) ?? inner;
    const entry: UnaryEntry = {
      kind: 'unary',
      descriptor: method,
      // Guards get the request as it was read for this method.
      traits: traits as MethodTraits,
      serve: (call, bytes) => {
        let request: Read;
        try {
          request = read(bytes);
        } catch (error) {
          failMalformed(call, error);
          return;
        }
        const logged = wasPlain() ? bytes : method.request.encode(request);
        const refusal = this.#refusalOf(call, entry, request) ?? this.#gate?.(call, entry, request);
        if (refusal === undefined) handler(call, request, logged);
        else if (!(refusal instanceof Promise)) call.fail(refusal.status, refusal.message);
        else {
          // The request lies in the connection's buffer, which is used again after this turn.
          const kept = Uint8Array.from(logged);
          void refusal.then((late) => {
            if (late !== undefined) call.fail(late.status, late.message);
            else if (call.isWanted()) handler(call, read(kept), kept);
          });
        }
      },
    };
    this.#add(entry);
  }

  /** Registers a method that streams. INVALID_ARGUMENT if its path is taken, or if it does not. */
  stream<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    inner: StreamOpener,
    traits: MethodTraits<undefined> = {},
  ): void {
    const kind = kindOf(method);
    if (kind === 'unary') throw unfit(method.path, 'does not stream');
    const opener = this.#around?.stream(method.path, inner) ?? inner;
    const entry: StreamEntry = {
      kind,
      descriptor: method,
      traits: traits as MethodTraits,
      open: (call) => {
        const refusal = this.#refusalOf(call, entry, undefined);
        if (refusal === undefined) return opener(call);
        call.end(refusal.status, refusal.message);
        return REFUSED;
      },
    };
    this.#add(entry);
  }

  get(path: string): ServiceEntry | undefined {
    return this.#entries.get(path);
  }

  /** All entries, in the order of their registration. */
  entries(): IterableIterator<ServiceEntry> {
    return this.#entries.values();
  }

  #add(entry: ServiceEntry): void {
    const { path } = entry.descriptor;
    if (this.#entries.has(path)) throw unfit(path, 'is registered already');
    this.#entries.set(path, entry);
  }

  #refusalOf(call: Call, entry: ServiceEntry, request: unknown): RpcStatus | undefined {
    const guards = this.#guards;
    for (let i = 0; i < guards.length; i++) {
      const refusal = guards[i]!(call, entry, request);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }
}

function kindOf(method: {
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
}): MethodKind {
  if (method.clientStreaming) return method.serverStreaming ? 'bidi_stream' : 'client_stream';
  return method.serverStreaming ? 'server_stream' : 'unary';
}

function unfit(path: string, why: string): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `the method ${path} ${why}`);
}
