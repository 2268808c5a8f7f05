// Bugs, planted on purpose: a proof that finds none of them proves nothing. Classes of members are
// wrapped for the time of one run; what ships knows nothing of it.

import { type Access, AuthState } from '../src/auth/index.ts';
import { bytesFromUtf8 } from '../src/base/index.ts';
import {
  Cluster,
  downgradeTargetOf,
  formatStoredVersion,
  proposeVersion,
  SERVER_VERSION,
} from '../src/membership/index.ts';
import { WatchHub, type WatchStream } from '../src/mvcc/index.ts';
import { Callers } from '../src/server/auth/callers.ts';
import { JwtTokens } from '../src/server/auth/jwt-tokens.ts';
import type { TokenOutcome } from '../src/server/auth/token-provider.ts';
import { ClusterVersionMonitor } from '../src/server/cluster/cluster-version.ts';
import { logMembership } from '../src/server/cluster/publication.ts';
import { StorageVersionMonitor } from '../src/server/cluster/storage-version.ts';
import { ReadIndexQueue } from '../src/server/consensus/read-index-queue.ts';
import { CallerClient } from '../src/server/services/caller-client.ts';
import { KeyQueue } from '../src/server/services/key-queue.ts';
import { PermissionApplier } from '../src/store/apply/permission-applier.ts';
import { Overlay } from '../src/store/backend/overlay.ts';
import { Backend, REQUEST_KIND } from '../src/store/index.ts';
import { BUCKET, META_KEY } from '../src/store/schema/schema.ts';
import { Wal } from '../src/wal/index.ts';
import type { SimCluster } from './cluster.ts';
import type { PlanKind, TokenKind } from './plan.ts';

export interface Canary {
  readonly name: string;
  /** The faults that bring it to light; others would only take time. */
  readonly faults: readonly string[];
  /** The kind of runs that it is about; by default chosen by the seed. */
  readonly kind?: PlanKind;
  /** Of users, if it is about them. */
  readonly tokens?: TokenKind;
  /** Of each run; by default that of any run. */
  readonly durationMs?: number;
  /** It must be found within so many seeds. */
  readonly seeds: number;
  /** Returns what takes it out again. */
  readonly plant: (cluster: SimCluster) => () => void;
}

/** Replaces a method; returns what puts it back. */
function wrap<Class extends object, Name extends keyof Class>(
  prototype: Class,
  name: Name,
  make: (original: Class[Name]) => Class[Name],
): () => void {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => {
    prototype[name] = original;
  };
}

/** What is written counts as durable before the disk says so. */
const acknowledgeBeforeSync: Canary = {
  name: 'acknowledge-before-sync',
  faults: ['power-loss-of-all'],
  seeds: 5,
  plant: () =>
    wrap(
      Wal.prototype,
      'append',
      (append) =>
        function (this: Wal, given) {
          const { entries, hardState } = given;
          const complete = (error: Parameters<typeof given.complete>[0]) => given.complete(error);
          append.call(this, { entries, hardState, mustSync: false, complete });
        },
    ),
};

/**
 * A member that believes it leads serves reads without asking the others. About one seed in six shows it: two
 * leaders must overlap while a key that is read at one is written at the other.
 */
const staleRead: Canary = {
  name: 'stale-read',
  faults: ['pause', 'isolate', 'one-way', 'split'],
  seeds: 30,
  plant: (cluster) =>
    wrap(
      ReadIndexQueue.prototype,
      'request',
      (request) =>
        function (this: ReadIndexQueue, read) {
          if (cluster.nodes.some((node) => node.leads && node.member?.parts.reads === this))
            read.serve();
          else request.call(this, read);
        },
    ),
};

/** One in so many deliveries to a watch gets lost. */
const DROP_EVERY = 50;

const droppedEvent: Canary = {
  name: 'dropped-event',
  faults: ['kill', 'isolate', 'reset'],
  seeds: 3,
  plant: () => {
    const leaky = new WeakSet<WatchStream>();
    let count = 0;
    return wrap(
      WatchHub.prototype,
      'watch',
      (watch) =>
        function (this: WatchHub, stream, ...rest) {
          if (!leaky.has(stream)) {
            leaky.add(stream);
            const { sink } = stream;
            const { offer } = sink;
            sink.offer = (watchers, from, to, batch) => {
              let at = from;
              for (; at < to; at++) {
                if (++count % DROP_EVERY === 0) continue;
                if (offer.call(sink, watchers, at, at + 1, batch) === 0) break;
              }
              return at - from;
            };
          }
          return watch.call(this, stream, ...rest);
        },
    );
  },
};

/** The database claims to have the effects of one entry more than it has. */
const earlyIndex: Canary = {
  name: 'early-index',
  faults: ['kill', 'power-loss', 'kill-while-starting'],
  seeds: 3,
  plant: () =>
    wrap(
      Overlay.prototype,
      'set',
      (set) =>
        function (this: Overlay, bucket, key, value) {
          if (key !== META_KEY.CONSISTENT_INDEX || value === undefined) {
            set.call(this, bucket, key, value);
            return;
          }
          const early = value.slice();
          const view = new DataView(early.buffer, early.byteOffset);
          view.setBigUint64(0, view.getBigUint64(0) + 1n);
          set.call(this, bucket, key, early);
        },
    ),
};

/** Whoever reads is not asked whether it may: the check before a read. */
const uncheckedReads: Canary = {
  name: 'unchecked-reads',
  faults: ['kill'],
  kind: 'users',
  durationMs: 5_000,
  seeds: 3,
  plant: () =>
    wrap(
      Callers.prototype,
      'check',
      () =>
        function (this: Callers, _call, _refusalOf, then) {
          then(undefined);
        },
    ),
};

/** A put is applied in whosever name it comes: one of the checks of the state machine. */
const uncheckedPuts: Canary = {
  name: 'unchecked-puts',
  faults: ['kill'],
  kind: 'users',
  durationMs: 5_000,
  seeds: 3,
  plant: () =>
    wrap(
      PermissionApplier.prototype,
      'begin',
      (begin) =>
        function (this: PermissionApplier, operation, user, awaited) {
          const isPut = operation.kind === REQUEST_KIND.PUT;
          return begin.call(this, operation, isPut ? ROOT : user, awaited);
        },
    ),
};
const ROOT = { username: 'root', authRevision: Number.MAX_SAFE_INTEGER };

/** What a user may do is found out once, and not again when users and roles have changed. */
const keptPermissions: Canary = {
  name: 'kept-permissions',
  faults: ['kill', 'snapshot-moment'],
  kind: 'users',
  durationMs: 5_000,
  seeds: 3,
  plant: () => {
    const kept = new WeakMap<AuthState, Map<string, Access>>();
    return wrap(
      AuthState.prototype,
      'accessOf',
      (accessOf) =>
        function (this: AuthState, info) {
          const access = accessOf.call(this, info);
          const own = kept.get(this) ?? new Map<string, Access>();
          kept.set(this, own);
          const isOld = info === undefined || info.authRevision < this.revision;
          if (!this.enabled || isOld) return access;
          const { username } = info;
          if (!own.has(username)) own.set(username, access);
          return own.get(username)!;
        },
    );
  },
};

/** Of the watches of a stream only the first is asked for: the check of every one. */
const uncheckedWatches: Canary = {
  name: 'unchecked-watches',
  faults: ['kill'],
  kind: 'users',
  durationMs: 5_000,
  seeds: 3,
  plant: () => {
    const asked = new WeakSet<object>();
    return wrap(
      Callers.prototype,
      'check',
      (check) =>
        function (this: Callers, call, refusalOf, then) {
          const isStream = 'pause' in call;
          if (isStream && asked.has(call)) then(undefined);
          else check.call(this, call, refusalOf, then);
          if (isStream) asked.add(call);
        },
    );
  },
};

/** A JWT is good for the users and roles as they are now, not only as they were when it was signed. */
const agelessTokens: Canary = {
  name: 'ageless-tokens',
  faults: ['kill'],
  kind: 'users',
  tokens: 'jwt',
  durationMs: 5_000,
  seeds: 3,
  plant: () => {
    const ageless = (info: TokenOutcome): TokenOutcome =>
      typeof info === 'object' ? { ...info, authRevision: undefined } : info;
    return wrap(
      JwtTokens.prototype,
      'info',
      (info) =>
        function (this: JwtTokens, token) {
          const known = info.call(this, token);
          return known instanceof Promise ? known.then(ageless) : ageless(known);
        },
    );
  },
};

/** Whoever has entered the queue of a lock is taken for the first. */
const earlyTurn: Canary = {
  name: 'early-turn',
  faults: ['kill'],
  kind: 'locks',
  durationMs: 5_000,
  seeds: 2,
  plant: () =>
    wrap(KeyQueue.prototype, 'waitForTurn', () => async ({ header }) => ({ header })),
};

/** Of the deletions that those in a queue wait for, one in so many is not told. */
const LOSE_EVERY = 2;

const lostWakeUp: Canary = {
  name: 'lost-wake-up',
  faults: ['move-leader'],
  kind: 'locks',
  durationMs: 5_000,
  seeds: 2,
  plant: () => {
    let count = 0;
    return wrap(
      CallerClient.prototype,
      'watch',
      (watch) =>
        function (this: CallerClient, requests, listener, options) {
          const { onResponse } = listener;
          listener.onResponse = (response) => {
            const isLost = response.events.length > 0 && ++count % LOSE_EVERY === 0;
            if (!isLost) onResponse.call(listener, response);
          };
          return watch.call(this, requests, listener, options);
        },
    );
  },
};

/** A leader lowers the cluster version though nobody has asked for a downgrade. */
const unaskedDowngrade: Canary = {
  name: 'unasked-downgrade',
  faults: ['kill'],
  kind: 'downgrade',
  durationMs: 5_000,
  seeds: 2,
  plant: (cluster) =>
    wrap(
      ClusterVersionMonitor.prototype,
      'endDowngrade',
      () =>
        async function (this: ClusterVersionMonitor) {
          const parts = cluster.leader?.member?.parts;
          if (parts?.versionMonitor !== this) return;
          const { version, downgrade } = parts.store.machine.cluster;
          if (version === undefined || downgrade.enabled || version.minor < 6) return;
          await logMembership(parts, proposeVersion(version, downgradeTargetOf(version)));
        },
    ),
};

/** CANCEL is logged, acknowledged, and forgotten. */
const forgottenCancel: Canary = {
  name: 'forgotten-cancel',
  faults: ['kill'],
  kind: 'downgrade',
  durationMs: 5_000,
  seeds: 2,
  plant: () =>
    wrap(
      Cluster.prototype,
      'setDowngrade',
      (setDowngrade) =>
        function (this: Cluster, index, info) {
          return info.enabled ? setDowngrade.call(this, index, info) : [];
        },
    ),
};

/** The database stays what it is when the cluster version falls. */
const keptStorage: Canary = {
  name: 'kept-storage',
  faults: ['kill'],
  kind: 'downgrade',
  durationMs: 5_000,
  seeds: 2,
  plant: (cluster) =>
    wrap(
      StorageVersionMonitor.prototype,
      'check',
      (check) =>
        function (this: StorageVersionMonitor) {
          const members = cluster.nodes.map(({ member }) => member?.parts);
          const own = members.find((parts) => parts?.storageVersion === this);
          if (own?.store.machine.cluster.downgrade.enabled !== true) check.call(this);
        },
    ),
};

/** A member that stops leaves a database of its own release, whatever it said while it ran. */
const undoneMigration: Canary = {
  name: 'undone-migration',
  faults: ['pause'],
  kind: 'downgrade',
  durationMs: 5_000,
  seeds: 2,
  plant: () =>
    wrap(
      Backend.prototype,
      'close',
      (close) =>
        function (this: Backend) {
          const version = bytesFromUtf8(formatStoredVersion(SERVER_VERSION));
          this.set(BUCKET.META, META_KEY.STORAGE_VERSION, version);
          return close.call(this);
        },
    ),
};

export const CANARIES: readonly Canary[] = [
  acknowledgeBeforeSync,
  staleRead,
  droppedEvent,
  earlyIndex,
  uncheckedReads,
  uncheckedPuts,
  keptPermissions,
  uncheckedWatches,
  agelessTokens,
  earlyTurn,
  lostWakeUp,
  unaskedDowngrade,
  forgottenCancel,
  keptStorage,
  undoneMigration,
];
