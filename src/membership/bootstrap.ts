// How a cluster begins: the members that `--initial-cluster` names get their ids, and the log's
// first entries add them.

import { bytesFromUtf8, compareUint64, ERROR_CODES, TetcdError } from '../base/index.ts';
import { clusterIdFor, memberIdFor, sortedUrls } from './ids.ts';
import { formatId, type Member, type MemberId } from './member.ts';
import { writeMember, writePromotion } from './member-json.ts';

interface BootstrapMember {
  readonly name: string;
  readonly peerURLs: readonly string[];
}

/**
 * The members of a new cluster, sorted by id. The log's first entries add them, one configuration
 * change each, with `confChangeContext` as context. INVALID_ARGUMENT if two get the same id.
 */
export function bootstrapMembers(members: readonly BootstrapMember[], token: string): Member[] {
  const made = members.map(({ name, peerURLs }) => ({
    id: memberIdFor({ peerURLs, token }),
    peerURLs: sortedUrls(peerURLs),
    isLearner: false,
    name,
    clientURLs: [],
  }));
  made.sort((a, b) => compareUint64(a.id, b.id));
  const ids = new Set(made.map((member) => member.id));
  if (ids.size !== made.length || ids.has(0n)) {
    throw new TetcdError(
      ERROR_CODES.INVALID_ARGUMENT,
      'two members of the initial cluster have the same id (same peer URLs)',
    );
  }
  return made;
}

/** The id of the cluster that these members bootstrap. */
export function bootstrapClusterId(members: readonly Member[]): bigint {
  return clusterIdFor(members.map((member) => member.id));
}

/** The context of the conf change that adds or updates `member`. */
export function confChangeContext(member: Member): Uint8Array {
  return bytesFromUtf8(writeMember(member));
}

/** The context of the conf change that makes a voter of the learner `id`. */
export function promotionContext(id: MemberId): Uint8Array {
  return bytesFromUtf8(writePromotion(id));
}

/** Compares lists of peer URLs by the addresses that they mean. */
export interface UrlComparison {
  /** Whether they are the same without looking at what names stand for. */
  sameAsWritten(a: readonly string[], b: readonly string[]): boolean;
  /** How they differ, in etcd's words; undefined if they are the same. */
  difference(a: readonly string[], b: readonly string[]): Promise<string | undefined>;
}

/**
 * The members named by a joiner, each with the id that the running cluster has for it.
 * INVALID_ARGUMENT, in etcd's words, unless both have the same peer URLs.
 */
export async function joinMembers(
  named: readonly BootstrapMember[],
  existing: readonly Member[],
  urls: UrlComparison,
): Promise<Member[]> {
  if (named.length !== existing.length) {
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'member count is unequal');
  }
  const left = new Set(named);
  const matched: Member[] = [];
  for (const member of existing) {
    const match = await matchOf(member, [...left], urls);
    left.delete(match);
    matched.push({ ...member, name: match.name });
  }
  return matched;
}

async function matchOf(
  { id, peerURLs }: Member,
  named: readonly BootstrapMember[],
  urls: UrlComparison,
): Promise<BootstrapMember> {
  const written = named.find((other) => urls.sameAsWritten(peerURLs, other.peerURLs));
  if (written !== undefined) return written;
  let difference: string | undefined;
  for (const other of named) {
    difference = await urls.difference(peerURLs, other.peerURLs);
    if (difference === undefined) return other;
  }
  throw new TetcdError(
    ERROR_CODES.INVALID_ARGUMENT,
    `PeerURLs: no match found for existing member (${formatId(id)}, [${peerURLs.join(' ')}]), ` +
      `last resolver error (${difference})`,
  );
}
