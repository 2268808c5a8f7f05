// `--experimental-enable-grpc-logging`: a line for every message of a call, either way, as etcd's proxy
// writes it. Around the handlers, so that without the flag nothing is there.

import { EMPTY_BYTES, fail } from '../../base/index.ts';
import type { Clock } from '../../env/index.ts';
import {
  BYTES_ENCODER,
  type Encoder,
  type Pieces,
  type RoomWaiter,
  STATUS,
  type StatusCode,
  type StreamHandler,
} from '../../grpc/index.ts';
import {
  camelCaseJsonFromWire,
  etcdErrorOfMessage,
  type MessageInfo,
} from '../../protocol/index.ts';
import {
  type Around,
  type Call,
  encodedBy,
  type StreamCall,
  type StreamOpener,
  textOfStatus,
  type UnaryCall,
  type UnaryHandler,
} from '../../rpc/index.ts';
import type { ProxyLog } from '../log.ts';
import type { AnyMethod } from '../services.ts';

const ENDED = 'EOF';

interface CallLogParts {
  readonly log: ProxyLog;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Of every path that is served. */
  readonly methods: ReadonlyMap<string, AnyMethod>;
}

export class CallLog implements Around {
  readonly #parts: CallLogParts;

  constructor(parts: CallLogParts) {
    this.#parts = parts;
  }

  unary<Request>(path: string, handler: UnaryHandler<Request>): UnaryHandler<Request> {
    const method = this.#methodOf(path);
    return (call, request, bytes) => {
      const lines = new CallLines(this.#parts, call, method);
      lines.request(bytes);
      handler(new LoggedUnaryCall(call, lines), request, bytes);
    };
  }

  stream(path: string, opener: StreamOpener): StreamOpener {
    const method = this.#methodOf(path);
    return (call) => {
      const lines = new CallLines(this.#parts, call, method);
      return new LoggedStreamHandler(opener(new LoggedStreamCall(call, lines)), lines, method);
    };
  }

  #methodOf(path: string): AnyMethod {
    return this.#parts.methods.get(path) ?? fail(`no method ${path}`);
  }
}

/** The lines about one call. */
class CallLines {
  readonly #log: ProxyLog;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #call: Call;
  readonly #method: AnyMethod;

  constructor({ log, clock }: CallLogParts, call: Call, method: AnyMethod) {
    this.#log = log;
    this.#clock = clock;
    this.#call = call;
    this.#method = method;
  }

  request(bytes: Uint8Array, error?: string): void {
    this.#log.info('received payload logged as grpc.request.content field', {
      'grpc.request.error': error,
      'grpc.request.content': contentOf(this.#method.request.descriptor, bytes),
      ...this.#ofCall(),
    });
  }

  response(bytes: Uint8Array | undefined, error?: string): void {
    const { descriptor } = this.#method.response;
    this.#log.info('returned response payload logged as grpc.response.content field', {
      'grpc.response.error': error,
      'grpc.response.content': bytes === undefined ? '' : contentOf(descriptor, bytes),
      ...this.#ofCall(),
    });
  }

  /** Why a call ended that its client no longer waits for, in Go's words. */
  cancelText(): string {
    return this.#clock.monotonicMs() >= this.#call.deadlineMs
      ? textOfStatus({ status: STATUS.DEADLINE_EXCEEDED, message: 'context deadline exceeded' })
      : textOfStatus({ status: STATUS.CANCELED, message: 'context canceled' });
  }

  #ofCall() {
    const { path, peer } = this.#call;
    const [, service, name] = path.split('/');
    return { 'grpc.service': service, 'grpc.method': name, 'peer.address': peer.address };
  }
}

/** What cannot be read is refused by whoever takes it; here it has no content. */
function contentOf(message: MessageInfo, bytes: Uint8Array): string {
  try {
    return camelCaseJsonFromWire(message, bytes);
  } catch {
    return '';
  }
}

/** An error of etcd is its text; any other is shown with its code. */
function errorText(status: StatusCode, message: string): string {
  if (etcdErrorOfMessage(message) !== undefined) return message;
  return textOfStatus({ status, message });
}

class LoggedCall<C extends Call> {
  protected readonly inner: C;
  protected readonly lines: CallLines;

  constructor(inner: C, lines: CallLines) {
    this.inner = inner;
    this.lines = lines;
  }

  get path() {
    return this.inner.path;
  }

  get peer() {
    return this.inner.peer;
  }

  get metadata() {
    return this.inner.metadata;
  }

  get deadlineMs() {
    return this.inner.deadlineMs;
  }

  get ended() {
    return this.inner.ended;
  }

  get caller() {
    return this.inner.caller;
  }

  set caller(caller) {
    this.inner.caller = caller;
  }

  isWanted(): boolean {
    return this.inner.isWanted();
  }
}

class LoggedUnaryCall extends LoggedCall<UnaryCall> implements UnaryCall {
  onCancel: (() => void) | undefined = undefined;

  constructor(inner: UnaryCall, lines: CallLines) {
    super(inner, lines);
    inner.onCancel = () => {
      lines.response(undefined, lines.cancelText());
      this.onCancel?.();
    };
  }

  get isBehind() {
    return this.inner.isBehind;
  }

  whenRoom(waiter: RoomWaiter): void {
    this.inner.whenRoom(waiter);
  }

  mayHold(bytes: number): boolean {
    return this.inner.mayHold(bytes);
  }

  holdMemory(bytes: number): void {
    this.inner.holdMemory(bytes);
  }

  reply<T>(encoder: Encoder<T>, message: T): void {
    if (this.inner.ended) return;
    const bytes = encodedBy(encoder, message);
    this.lines.response(bytes);
    this.inner.reply(BYTES_ENCODER, bytes);
  }

  replyInPieces(size: number, pieces: Pieces): void {
    this.inner.replyInPieces(size, pieces);
  }

  fail(status: StatusCode, message: string): void {
    if (this.inner.ended) return;
    this.lines.response(undefined, errorText(status, message));
    this.inner.fail(status, message);
  }
}

class LoggedStreamCall extends LoggedCall<StreamCall> implements StreamCall {
  get sendsNews() {
    return this.inner.sendsNews;
  }

  set sendsNews(sends: boolean) {
    this.inner.sendsNews = sends;
  }

  get hasRoom() {
    return this.inner.hasRoom;
  }

  write<T>(encoder: Encoder<T>, message: T): boolean {
    if (this.inner.ended) return this.inner.write(encoder, message);
    const bytes = encodedBy(encoder, message);
    this.lines.response(bytes);
    return this.inner.write(BYTES_ENCODER, bytes);
  }

  writeParts(head: Uint8Array, body: Uint8Array): boolean {
    return this.write(BYTES_ENCODER, Buffer.concat([head, body]));
  }

  /** None: each message is a line. */
  writeRun(): number {
    return 0;
  }

  end(status: StatusCode = STATUS.OK, message = ''): void {
    this.inner.end(status, message);
  }

  endUnreadable(message: string): void {
    this.inner.endUnreadable(message);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }
}

/** The side of the client: its messages, and how they end if it may send any number. */
class LoggedStreamHandler implements StreamHandler {
  readonly #handler: StreamHandler;
  readonly #lines: CallLines;
  /** Whether more messages may come. */
  #isOpen: boolean;

  constructor(handler: StreamHandler, lines: CallLines, { clientStreaming }: AnyMethod) {
    this.#handler = handler;
    this.#lines = lines;
    this.#isOpen = clientStreaming;
  }

  onMessage(message: Uint8Array): void {
    this.#lines.request(message);
    this.#handler.onMessage(message);
  }

  onEnd(): void {
    this.#ends(ENDED);
    this.#handler.onEnd();
  }

  onCancel(): void {
    this.#ends(this.#lines.cancelText());
    this.#handler.onCancel();
  }

  onDrain(): void {
    this.#handler.onDrain();
  }

  #ends(why: string): void {
    if (this.#isOpen) this.#lines.request(EMPTY_BYTES, why);
    this.#isOpen = false;
  }
}
