// Members compared with each other by checksums of their keys, so that one whose data has changed by
// itself is found. What counts as a difference, what is logged and whom an alarm names are those of etcd
// v3.7.1 `server/etcdserver/corrupt.go`.
//
//   at start         this member with each other one, at its own newest revision: it refuses to serve
//   keys             the leader with each other member, at its newest revision: alarm for one of them
//   compactions      the checksums that compactions made: alarm for the minority, or for nobody in particular

import { ERROR_CODES, goDuration, TetcdError } from '../../base/index.ts';
import { formatId } from '../../membership/index.ts';
import { ETCD_ERRORS, etcdserverpb } from '../../protocol/index.ts';
import { type KvHash, REQUEST_KIND } from '../../store/index.ts';
import {
  HASH_REFUSALS,
  type PeerHash,
  type PeerHashesParts,
  type RemoteHash,
  requestHashes,
} from '../cluster/peer-hashes.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { requestTimeoutMs } from '../limits.ts';
import type { LogFields } from '../telemetry/log.ts';

const { AlarmAction, AlarmRequestCodec, AlarmType } = etcdserverpb;

/** The id of an alarm about members that cannot be told from the others. */
const NOBODY = 0n;

const IGNORED = { complete: () => undefined, fail: () => undefined };

interface CorruptionCheckerParts extends PeerHashesParts {
  readonly reads: Pick<ReadIndexQueue, 'whenLinearizable'>;
  readonly proposals: Pick<Proposals, 'propose'>;
  readonly store: StoreView<'cluster' | 'compactor' | 'hashKv' | 'kv'>;
}

export class CorruptionChecker {
  readonly #parts: CorruptionCheckerParts;
  /** Newest revision at which the compactions of all members were found equal. */
  #checkedRevision = 0;

  constructor(parts: CorruptionCheckerParts) {
    this.#parts = parts;
  }

  // --- At start --------------------------------------------------------------------------------------

  /**
   * Compares this member with others before it serves. Rejects with CORRUPT if another one has other keys
   * at the same revision and the same compaction; one that does not answer, or is elsewhere, counts for
   * nothing.
   */
  async checkAtStart(): Promise<void> {
    const { log } = this.#parts;
    const id = this.#localId;
    log.info('starting initial corruption check', { 'local-member-id': id, ...this.#timeout });
    const local = await this.#localHash();
    let mismatches = 0;
    for (const peer of await this.#peerHashes(local.hashRevision)) {
      if (peer.hash === undefined) this.#warnOfUnknown(local, peer.error, peer);
      else if (peer.hash.hash !== local.hash) {
        const isSame = peer.hash.compactRevision === local.compactRevision;
        if (isSame) mismatches++;
        log.warn(
          isSame
            ? 'found different hash values from remote peer'
            : 'found different compact revision values from remote peer',
          { ...this.#localFields(local), ...remoteFields(peer, peer.hash) },
        );
      }
    }
    if (mismatches > 0) {
      const error = `${id} found data inconsistency with peers`;
      log.error('checkInitialHashKV failed', { error });
      throw new TetcdError(ERROR_CODES.CORRUPT, error);
    }
    log.info('initial corruption checking passed; no corruption', { 'local-member-id': id });
  }

  #warnOfUnknown(local: KvHash, error: string, { member }: PeerHash): void {
    const text = UNKNOWN_TEXTS.get(error);
    if (text === undefined) return; // the request was logged when it failed
    this.#parts.log.warn(text, {
      ...this.#localFields(local),
      'remote-peer-id': formatId(member.id),
      'remote-peer-endpoints': member.peerURLs,
      error,
    });
  }

  // --- The keys ----------------------------------------------------------------------------------------

  /**
   * Compares the leader with every other member that answers, and raises an alarm for the first that
   * differs. Rejects if this member cannot look at its own keys, or leads no majority.
   */
  async checkKeys(): Promise<void> {
    const { log, memberId, reads, store } = this.#parts;
    const first = await this.#localHash();
    const peers = await this.#peerHashes(first.hashRevision);
    const error = await reads.whenLinearizable();
    if (error !== undefined) throw new Error(ETCD_ERRORS[error].message);
    const second = await this.#localHash();
    const newest = store.machine.kv.currentRev;
    let alarmed = false;
    const alarm = (id: bigint): void => {
      if (!alarmed) this.#raise(id);
      alarmed = true;
    };
    if (isSamePlace(first, second) && first.hash !== second.hash) {
      log.warn('found hash mismatch', { ...numbered(first, 1), ...numbered(second, 2) });
      alarm(memberId);
    }
    let checked = 0;
    for (const { member, hash } of peers) {
      if (hash === undefined) continue;
      checked++;
      const follower = { 'follower-peer-id': formatId(member.id) };
      if (hash.currentRevision > newest) {
        log.warn("revision from follower must be less than or equal to leader's", {
          'leader-revision': newest,
          'follower-revision': hash.currentRevision,
          ...follower,
        });
        alarm(member.id);
      }
      const compactions = {
        'leader-compact-revision': second.compactRevision,
        'follower-compact-revision': hash.compactRevision,
      };
      if (hash.compactRevision > second.compactRevision) {
        log.warn("compact revision from follower must be less than or equal to leader's", {
          ...compactions,
          ...follower,
        });
        alarm(member.id);
      }
      if (hash.compactRevision === first.compactRevision && hash.hash !== first.hash) {
        log.warn('same compact revision then hashes must match', {
          ...compactions,
          'leader-hash': first.hash,
          'follower-hash': hash.hash,
          ...follower,
        });
        alarm(member.id);
      }
    }
    log.info('finished peer corruption check', { 'number-of-peers-checked': checked });
  }

  // --- Compactions -------------------------------------------------------------------------------------

  /**
   * Compares the checksums of compactions, from the newest one on, until one is found that all members
   * have, or that differs: members compact at the same revisions, and keep the checksums for a while.
   */
  async checkCompactions(): Promise<void> {
    const { log, store } = this.#parts;
    log.info('starting compact hash check', {
      'local-member-id': this.#localId,
      ...this.#timeout,
    });
    let checked = 0;
    for (const hash of store.machine.compactor.finishedHashes) {
      if (hash.hashRevision <= this.#checkedRevision) break;
      checked++;
      const peers = await this.#peerHashes(hash.hashRevision);
      if (peers.length > 0 && this.#isSettled(hash, peers)) break;
    }
    log.info('finished compaction hash check', { 'number-of-hashes-checked': checked });
  }

  /** Whether all members have been compared, or some differ; else an older compaction may tell. */
  #isSettled(leader: KvHash, peers: readonly PeerHash[]): boolean {
    const membersOf = new Map([[leader.hash, [this.#parts.memberId]]]);
    let checked = 0;
    for (const peer of peers) {
      const reason = reasonToSkip(leader, peer);
      if (reason !== undefined || peer.hash === undefined) {
        this.#parts.log.warn("Skipped peer's hash", {
          'number-of-peers': peers.length,
          'leader-id': this.#localId,
          'peer-id': formatId(peer.member.id),
          reason,
        });
        continue;
      }
      checked++;
      const same = membersOf.get(peer.hash.hash);
      if (same === undefined) membersOf.set(peer.hash.hash, [peer.member.id]);
      else same.push(peer.member.id);
    }
    if (membersOf.size === 1) return this.#acceptEqual(leader, checked, peers.length);
    this.#acceptDifferent(leader, membersOf, peers.length + 1);
    return true;
  }

  #acceptEqual(hash: KvHash, checked: number, peers: number): boolean {
    const { log } = this.#parts;
    const place = { revision: hash.hashRevision, compactRevision: hash.compactRevision };
    if (checked < peers) {
      const text = 'skipped revision in compaction hash check; was not able to check all peers';
      log.warn(text, {
        'number-of-peers-checked': checked,
        'number-of-peers': peers,
        ...place,
      });
      return false;
    }
    const text = 'successfully checked hash on whole cluster';
    log.info(text, { 'number-of-peers-checked': checked, ...place });
    this.#checkedRevision = Math.max(this.#checkedRevision, hash.hashRevision);
    return true;
  }

  /** Without a majority that agrees, nobody can tell who is right. */
  #acceptDifferent(
    leader: KvHash,
    membersOf: Map<number, readonly bigint[]>,
    memberCount: number,
  ): void {
    const { log } = this.#parts;
    const fields = {
      'leader-id': this.#localId,
      'leader-revision': leader.hashRevision,
      'leader-compact-revision': leader.compactRevision,
      'leader-hash': leader.hash,
    };
    const quorum = Math.floor(memberCount / 2) + 1;
    const majority = [...membersOf].find(([, ids]) => ids.length >= quorum);
    if (majority === undefined) {
      const text =
        'Detected compaction hash mismatch but cannot identify the corrupted members, ' +
        'so intentionally set the memberID as 0';
      log.error(text, fields);
      this.#raise(NOBODY);
    } else membersOf.delete(majority[0]);
    for (const [hash, ids] of membersOf) {
      if (majority !== undefined) for (const id of ids) this.#raise(id);
      log.error('Detected compaction hash mismatch', {
        ...fields,
        'peer-hash': hash,
        'peer-ids': ids.map(formatId).join(','),
        'quorum-exist': majority !== undefined,
      });
    }
  }

  // --- What all of them need -----------------------------------------------------------------------------

  /** Through the log. What fails is tried again by the next check. */
  #raise(memberID: bigint): void {
    const body = AlarmRequestCodec.encode({
      action: AlarmAction.ACTIVATE,
      memberID,
      alarm: AlarmType.CORRUPT,
    });
    const { proposals } = this.#parts;
    proposals.propose(REQUEST_KIND.ALARM, undefined, body, 0, body.length, IGNORED);
  }

  #localHash(): Promise<KvHash> {
    return this.#parts.store.machine.hashKv(0);
  }

  #peerHashes(revision: number): Promise<PeerHash[]> {
    return requestHashes(this.#parts, revision);
  }

  get #localId(): string {
    return formatId(this.#parts.memberId);
  }

  get #timeout(): LogFields {
    const ms = requestTimeoutMs(this.#parts.config.electionMs);
    return { timeout: goDuration(ms * 1e6) };
  }

  #localFields({ hash, hashRevision, compactRevision }: KvHash): LogFields {
    return {
      'local-member-id': this.#localId,
      'local-member-revision': hashRevision,
      'local-member-compact-revision': compactRevision,
      'local-member-hash': hash,
    };
  }
}

const UNKNOWN_TEXTS: ReadonlyMap<string, string> = new Map([
  [HASH_REFUSALS.FUTURE_REV, 'cannot fetch hash from slow remote peer'],
  [HASH_REFUSALS.COMPACTED, 'cannot fetch hash from remote peer; local member is behind'],
  [HASH_REFUSALS.CLUSTER_ID_MISMATCH, 'cluster ID mismatch'],
]);

function remoteFields({ member }: PeerHash, hash: RemoteHash): LogFields {
  return {
    'remote-peer-id': formatId(member.id),
    'remote-peer-endpoints': member.peerURLs,
    'remote-peer-revision': hash.currentRevision,
    'remote-peer-compact-revision': hash.compactRevision,
    'remote-peer-hash': hash.hash,
  };
}

function reasonToSkip(leader: KvHash, { hash }: PeerHash): string | undefined {
  if (hash === undefined) return 'no response';
  if (hash.compactRevision === leader.compactRevision) return undefined;
  return (
    `the peer's CompactRevision ${hash.compactRevision} doesn't match ` +
    `leader's CompactRevision ${leader.compactRevision}`
  );
}

function isSamePlace(a: KvHash, b: KvHash): boolean {
  return a.hashRevision === b.hashRevision && a.compactRevision === b.compactRevision;
}

function numbered({ hash, hashRevision, compactRevision }: KvHash, number: 1 | 2): LogFields {
  return {
    [`revision-${number}`]: hashRevision,
    [`compact-revision-${number}`]: compactRevision,
    [`hash-${number}`]: hash,
  };
}
