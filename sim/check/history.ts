// What clients did and saw: the recorded history that every checker reads. Plain data, so that a
// failing history can be saved, looked at and checked again.
//
// Keys and values are latin1 texts, one character per byte: they compare in byte order. Ids of
// leases and members are decimal texts. Revisions are numbers.

/**
 * A moment of the recorder. `order` counts its observations: of two moments, the one with the lower
 * order came first. `atMs` is its monotonic clock, for what depends on durations.
 */
export interface Moment {
  readonly order: number;
  readonly atMs: number;
}

/** One key, or with `end` all keys from `key` up to it, exclusive; `end` of `'\0'`: to the last. */
export interface Keys {
  readonly key: string;
  readonly end?: string;
}

export interface StoredKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** '0' for none. */
  readonly lease: string;
}

// Requests

export interface RangeRequest extends Keys {
  readonly kind: 'range';
  readonly limit?: number;
  /** Absent or 0: now. */
  readonly revision?: number;
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
}

export interface PutRequest {
  readonly kind: 'put';
  readonly key: string;
  readonly value: string;
  readonly lease?: string;
  readonly prevKv?: boolean;
}

export interface DeleteRequest extends Keys {
  readonly kind: 'delete';
  readonly prevKv?: boolean;
}

export type CompareOperator = '=' | '!=' | '<' | '>';

/** With `end`, it must hold for every key of the range. */
export interface Comparison extends Keys {
  readonly target: 'version' | 'createRevision' | 'modRevision' | 'value' | 'lease';
  readonly operator: CompareOperator;
  readonly operand: number | string;
}

export type TxnOperation = RangeRequest | PutRequest | DeleteRequest;

export interface TxnRequest {
  readonly kind: 'txn';
  readonly compare: readonly Comparison[];
  readonly success: readonly TxnOperation[];
  readonly failure: readonly TxnOperation[];
}

export interface CompactRequest {
  readonly kind: 'compact';
  readonly revision: number;
}

export interface GrantRequest {
  readonly kind: 'grant';
  readonly lease: string;
  /** Seconds. */
  readonly ttl: number;
}

export interface RevokeRequest {
  readonly kind: 'revoke';
  readonly lease: string;
}

export interface KeepAliveRequest {
  readonly kind: 'keepAlive';
  readonly lease: string;
}

export interface TimeToLiveRequest {
  readonly kind: 'timeToLive';
  readonly lease: string;
}

export type Request =
  | RangeRequest
  | PutRequest
  | DeleteRequest
  | TxnRequest
  | CompactRequest
  | GrantRequest
  | RevokeRequest
  | KeepAliveRequest
  | TimeToLiveRequest;

// Responses

export interface RangeResult {
  readonly kind: 'range';
  readonly kvs: readonly StoredKey[];
  readonly count: number;
  readonly more: boolean;
}

export interface PutResult {
  readonly kind: 'put';
  readonly prevKv?: StoredKey;
}

export interface DeleteResult {
  readonly kind: 'delete';
  readonly deleted: number;
  readonly prevKvs?: readonly StoredKey[];
}

export interface TxnResult {
  readonly kind: 'txn';
  readonly succeeded: boolean;
  readonly results: readonly (RangeResult | PutResult | DeleteResult)[];
}

/** Of a grant, a keep-alive, or a question for the time to live, which is -1 for an ended lease. */
export interface LeaseResult {
  readonly kind: 'lease';
  readonly ttl: number;
  /** Of a question for the time to live: seconds granted. */
  readonly grantedTtl?: number;
}

/** Of a compaction or a revocation: nothing but the header. */
export interface EmptyResult {
  readonly kind: 'empty';
}

export type Result = RangeResult | PutResult | DeleteResult | TxnResult | LeaseResult | EmptyResult;

export type Outcome =
  | {
      readonly kind: 'ok';
      /** Of the response's header. */
      readonly revision: number;
      readonly member: string;
      readonly term: number;
      readonly result: Result;
    }
  /** It was refused, for this reason, and had no effect. */
  | { readonly kind: 'failed'; readonly error: string }
  /** It may have had its effect, may have it later, or never. */
  | { readonly kind: 'unknown'; readonly error: string };

export interface Operation {
  /** Who did it: a client does one thing after the other. */
  readonly client: string;
  readonly request: Request;
  readonly called: Moment;
  readonly returned: Moment;
  readonly outcome: Outcome;
}

// Watches

export interface WatchRequest extends Keys {
  /** 0: from now on. */
  readonly startRevision: number;
  readonly prevKv?: boolean;
  readonly noPut?: boolean;
  readonly noDelete?: boolean;
  readonly progressNotify?: boolean;
  readonly fragment?: boolean;
}

export interface WatchEvent {
  readonly type: 'put' | 'delete';
  readonly kv: StoredKey;
  readonly prevKv?: StoredKey;
}

export interface WatchResponse {
  readonly at: Moment;
  /** Of the header. */
  readonly revision: number;
  /** Empty: a progress notification, up to `revision`. */
  readonly events: readonly WatchEvent[];
  /** More events of the last revision follow in the next response. */
  readonly fragment: boolean;
}

export type WatchEnd =
  | { readonly kind: 'broken'; readonly at: Moment; readonly error: string }
  | { readonly kind: 'canceled'; readonly at: Moment; readonly reason: string }
  | { readonly kind: 'compacted'; readonly at: Moment; readonly compactRevision: number }
  /**
   * Closed by the client when all was quiet, after it had waited long enough for everything up to
   * `expected` to arrive; 0 if nothing was waited for.
   */
  | { readonly kind: 'closed'; readonly at: Moment; readonly expected: number };

/** One watch on one stream. A watch that is taken up again after a break is another record. */
export interface Watch {
  readonly client: string;
  readonly request: WatchRequest;
  readonly opened: Moment;
  /** The server's confirmation; undefined if it never came. */
  readonly created: { readonly at: Moment; readonly revision: number } | undefined;
  readonly responses: readonly WatchResponse[];
  readonly end: WatchEnd | undefined;
}

export interface History {
  /** Repeats the run, if one can. */
  readonly command: string;
  readonly operations: readonly Operation[];
  readonly watches: readonly Watch[];
}

/** What a checker found: a broken promise, in words. */
export interface Violation {
  /** Which promise. */
  readonly rule: string;
  readonly text: string;
}

export function includes(keys: Keys, key: string): boolean {
  if (keys.end === undefined) return key === keys.key;
  return key >= keys.key && (keys.end === '\0' || key < keys.end);
}

export function historyToJson(history: History): string {
  return JSON.stringify(history, undefined, 1);
}

export function historyFromJson(text: string): History {
  const history = JSON.parse(text) as Partial<History>;
  if (!Array.isArray(history.operations) || !Array.isArray(history.watches)) {
    throw new Error('not a recorded history');
  }
  return { command: '', ...history } as History;
}

export function describeOperation({
  client,
  request,
  called,
  returned,
  outcome,
}: Operation): string {
  const end = outcome.kind === 'unknown' ? '?' : returned.order;
  return `${client} [${called.order}, ${end}] ${describeRequest(request)} -> ${describeOutcome(outcome)}`;
}

export function describeRequest(request: Request): string {
  const { kind, ...rest } = request;
  return `${kind} ${JSON.stringify(rest)}`;
}

function describeOutcome(outcome: Outcome): string {
  if (outcome.kind !== 'ok') return `${outcome.kind} ${outcome.error}`;
  const { kind, ...rest } = outcome.result;
  return `${kind} at ${outcome.revision} by ${outcome.member} ${JSON.stringify(rest)}`;
}
