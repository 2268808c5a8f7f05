// One member on a simulated machine, driven without sockets, for tests of the whole.

import { bytesFromLatin1, latin1FromBytes } from '../../base/index.ts';
import type { SimEnv } from '../../env/sim/index.ts';
import { EMPTY_METADATA } from '../../grpc/index.ts';
import { type ByteSlice, RangeResult, RangeRun } from '../../mvcc/index.ts';
import { etcdserverpb, type MethodDescriptor, mvccpb } from '../../protocol/index.ts';
import { LocalCalls, type StreamEntry, type UnaryEntry } from '../../rpc/index.ts';
import {
  type ApplyResult,
  type KvHash,
  REQUEST_KIND,
  type RequestKind,
} from '../../store/index.ts';
import { IMMEDIATE_PASSWORDS } from '../auth/password-threads.ts';
import { parseConfig, type ServerConfig } from '../config/index.ts';
import { Member } from '../member.ts';
import { createLogger } from '../telemetry/log.ts';

export const DATA_DIR = '/srv/data';
/** Small, so that a short run cuts several. */
export const SEGMENT_SIZE: number = 8 * 1024;
const LOG_LINES_MAX = 10_000;

/** The defaults of the command line, but small enough for every mechanism to work in a short run. */
export function simConfig(changes: Partial<ServerConfig> = {}): ServerConfig {
  const about = { release: '0', apiVersion: '0', commit: '0', platform: 'sim' };
  const parsed = parseConfig([`--data-dir=${DATA_DIR}`, '--name=sim'], {}, about as never);
  if (parsed.kind !== 'run') throw new Error('the defaults do not parse');
  return {
    ...parsed.config,
    snapshotCount: 20,
    snapshotCatchupEntries: 5,
    maxSnapshots: 1,
    maxWals: 1,
    backendBatchIntervalMs: 20,
    backendBatchLimit: 16,
    compactionBatchLimit: 4,
    compactionSleepIntervalMs: 1,
    auth: { ...parsed.config.auth, bcryptCost: 4 },
    ...changes,
  };
}

export interface StoredPair {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

/** A row of the key bucket. */
export interface StoredChange {
  readonly revision: number;
  readonly sub: number;
  readonly key: string;
  /** Undefined for a tombstone. */
  readonly value: string | undefined;
}

/** What became of a request. */
export interface Answer {
  /** Newest revision when it was applied. */
  readonly revision: number;
  readonly error: string | undefined;
  readonly deleted: number;
  readonly succeeded: boolean;
  /** For a compaction. */
  readonly physical: Promise<void> | undefined;
}

const CALL_CONTEXT = {
  peer: { address: 'in process', encrypted: true, certificate: undefined },
  metadata: EMPTY_METADATA,
  deadlineMs: Number.POSITIVE_INFINITY,
  caller: undefined,
};

/** A request failed, by etcd's name for it. */
export class RequestFailed extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

const { AlarmAction, AlarmRequestCodec, AlarmType } = etcdserverpb;
const { PutRequestCodec, DeleteRangeRequestCodec, TxnRequestCodec } = etcdserverpb;

export class SimMember {
  readonly member: Member;
  readonly env: SimEnv;
  readonly log: readonly string[];
  /** What stopped it by itself. */
  readonly fatal: unknown[];

  private constructor(member: Member, env: SimEnv, log: string[], fatal: unknown[]) {
    this.member = member;
    this.env = env;
    this.log = log;
    this.fatal = fatal;
  }

  static async start(
    env: SimEnv,
    config: ServerConfig = simConfig(),
    log: string[] = [],
    fatal: unknown[] = [],
    onRemoved: () => void = () => undefined,
  ): Promise<SimMember> {
    const sink = {
      write: (line: string) => {
        if (log.length < LOG_LINES_MAX) log.push(line.trimEnd());
      },
    };
    const member = await Member.start({
      config,
      env,
      log: createLogger({ level: 'info', format: 'console' }, sink, env.clock, 'sim'),
      onFatal: (error) => fatal.push(error),
      onRemoved,
      heapUse: () => ({ usedBytes: 0, limitBytes: 1 }),
      passwordRunner: IMMEDIATE_PASSWORDS,
      listen: false,
      walSegmentSize: SEGMENT_SIZE,
    });
    return new SimMember(member, env, log, fatal);
  }

  get revision(): number {
    return this.member.parts.store.machine.kv.currentRev;
  }

  // --- Requests ----------------------------------------------------------------------------------

  /** Proposes; resolves when applied, rejects with RequestFailed if it is refused or given up. */
  propose(kind: RequestKind, body: Uint8Array): Promise<Answer> {
    const {
      proposals,
      store: { machine },
    } = this.member.parts;
    return new Promise((resolve, reject) => {
      proposals.propose(kind, undefined, body, 0, body.length, {
        complete: (result) => {
          const answer = answerOf(result, machine.kv.currentRev);
          if (answer.error === undefined) resolve(answer);
          else reject(new RequestFailed(answer.error));
        },
        fail: (error) => reject(new RequestFailed(error)),
      });
    });
  }

  put(key: string, value: string, lease = 0n): Promise<Answer> {
    return this.propose(REQUEST_KIND.PUT, PutRequestCodec.encode(putOf(key, value, lease)));
  }

  /** `end` undefined: one key. */
  delete(key: string, end?: string): Promise<Answer> {
    const request = DeleteRangeRequestCodec.create({
      key: bytesFromLatin1(key),
      rangeEnd: bytesFromLatin1(end ?? ''),
    });
    return this.propose(REQUEST_KIND.DELETE_RANGE, DeleteRangeRequestCodec.encode(request));
  }

  /** Ends this member's NOSPACE alarm. */
  disarm(): Promise<Answer> {
    const body = AlarmRequestCodec.encode({
      action: AlarmAction.DEACTIVATE,
      memberID: this.member.memberId,
      alarm: AlarmType.NOSPACE,
    });
    return this.propose(REQUEST_KIND.ALARM, body);
  }

  /** Puts (or with undefined deletes) all of them in one transaction. */
  txn(writes: readonly { readonly key: string; readonly value: string | undefined }[]) {
    const success = writes.map(({ key, value }) =>
      etcdserverpb.RequestOpCodec.create({
        request:
          value === undefined
            ? {
                case: 'requestDeleteRange',
                value: DeleteRangeRequestCodec.create({ key: bytesFromLatin1(key) }),
              }
            : { case: 'requestPut', value: putOf(key, value, 0n) },
      }),
    );
    const request = TxnRequestCodec.create({ success });
    return this.propose(REQUEST_KIND.TXN, TxnRequestCodec.encode(request));
  }

  compact(revision: number): Promise<Answer> {
    const codec = etcdserverpb.CompactionRequestCodec;
    const request = codec.create({ revision, physical: false });
    return this.propose(REQUEST_KIND.COMPACTION, codec.encode(request));
  }

  grant(id: bigint, ttl: number): Promise<Answer> {
    const codec = etcdserverpb.LeaseGrantRequestCodec;
    return this.propose(REQUEST_KIND.LEASE_GRANT, codec.encode(codec.create({ id, ttl })));
  }

  revoke(id: bigint): Promise<Answer> {
    const codec = etcdserverpb.LeaseRevokeRequestCodec;
    return this.propose(REQUEST_KIND.LEASE_REVOKE, codec.encode(codec.create({ id })));
  }

  /** Resolves when everything acknowledged before it was asked for is applied. */
  linearizable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.member.parts.reads.request({
        serve: resolve,
        fail: (error) => reject(new RequestFailed(error)),
      });
    });
  }

  /** Calls a unary method of any service, in process. Rejects with a GrpcStatusError. */
  async call<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
  ): Promise<Response> {
    const onHandlerError = (_: unknown, error: unknown) => {
      this.fatal.push(error);
    };
    const table = this.member.services;
    const calls = new LocalCalls({ table, env: this.env, onHandlerError });
    const bytes = method.request.encode(method.request.create(request));
    return method.response.decode(await calls.unary(method.path, bytes, CALL_CONTEXT));
  }

  // --- What is stored ----------------------------------------------------------------------------

  pairs(revision = 0): StoredPair[] {
    const request = etcdserverpb.RangeRequestCodec.create({
      key: bytesFromLatin1('\0'),
      rangeEnd: bytesFromLatin1('\0'),
      revision,
    });
    const run = new RangeRun();
    const result = new RangeResult();
    run.start(this.member.parts.store.machine.kv, request, result);
    while (!run.step(1_000_000));
    return result.buffers.map((buffer, i) =>
      pairOf(buffer, result.offsets[i]!, result.lengths[i]!),
    );
  }

  /** Rows after the compacted revision, in order, regardless of the index. */
  changes(): StoredChange[] {
    const { backend, kv } = this.member.parts.store.machine;
    const rows = backend.openRows(Math.max(kv.compactedRev, 0) + 1, 0);
    const found: StoredChange[] = [];
    while (rows.next()) {
      const { buffer, offset, length }: ByteSlice = rows.value;
      const { key, value } = pairOf(buffer, offset, length);
      const { main: revision, sub, tombstone } = rows;
      found.push({ revision, sub, key, value: tombstone ? undefined : value });
    }
    rows.close();
    return found;
  }

  hashKv(revision: number): Promise<KvHash> {
    return this.member.parts.store.machine.hashKv(revision);
  }

  /** Everything that the member's own checkers find. */
  async violations(): Promise<string[]> {
    const { backend, kv } = this.member.parts.store.machine;
    const wrong = kv.index.check().map((text) => `key index: ${text}`);
    for (const { page, text } of await backend.database.check()) {
      wrong.push(`database, page ${page}: ${text}`);
    }
    return wrong;
  }

  stop(): Promise<void> {
    return this.member.stop();
  }
}

function putOf(key: string, value: string, lease: bigint): etcdserverpb.PutRequest {
  return PutRequestCodec.create({
    key: bytesFromLatin1(key),
    value: bytesFromLatin1(value),
    lease,
  });
}

function pairOf(buffer: Uint8Array, offset: number, length: number): StoredPair {
  const pair = mvccpb.KeyValueCodec.decode(buffer, offset, offset + length);
  return {
    key: latin1FromBytes(pair.key),
    value: latin1FromBytes(pair.value),
    createRevision: pair.createRevision,
    modRevision: pair.modRevision,
    version: pair.version,
    lease: pair.lease,
  };
}

function answerOf(result: ApplyResult, revision: number): Answer {
  return {
    revision,
    error: result.kind === 'error' ? result.error : undefined,
    deleted: result.kind === 'deleteRange' ? result.delete.deleted : 0,
    succeeded: result.kind === 'txn' && result.txn.succeeded,
    physical: result.kind === 'compaction' ? result.physical : undefined,
  };
}

/** How the member's table serves a unary method. */
export function servingOf(member: Member, path: string): UnaryEntry['serve'] {
  const entry = member.services.get(path);
  if (entry?.kind !== 'unary') throw new Error(`${path} is no unary method`);
  return entry.serve;
}

/** How the member's table opens a stream. */
export function openerOf(member: Member, path: string): StreamEntry['open'] {
  const entry = member.services.get(path);
  if (entry === undefined || entry.kind === 'unary') throw new Error(`${path} does not stream`);
  return entry.open;
}
