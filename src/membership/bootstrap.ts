// How a cluster begins: the members that `--initial-cluster` names get their ids, and the log's
// first entries add them.

import { bytesFromUtf8, TetcdError } from '../base/index.ts';
import { clusterIdFor, compareIds, memberIdFor, sortedUrls } from './ids.ts';
import { formatId, type Member, type MemberId } from './member.ts';
import { writeMember, writePromotion } from './member-json.ts';

export interface BootstrapMember {
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
  made.sort((a, b) => compareIds(a.id, b.id));
  const ids = new Set(made.map((member) => member.id));
  if (ids.size !== made.length || ids.has(0n)) {
    throw new TetcdError(
      'INVALID_ARGUMENT',
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

/**
 * The members named by someone who joins, each with the id that the running cluster has for it.
 * INVALID_ARGUMENT, in etcd's words, unless both name the same peer URLs. `localhost` and
 * `127.0.0.1` are the same address.
 */
export function joinMembers(
  named: readonly BootstrapMember[],
  existing: readonly Member[],
): Member[] {
  if (named.length !== existing.length) {
    throw new TetcdError('INVALID_ARGUMENT', 'member count is unequal');
  }
  const left = new Set(named);
  return existing.map((member) => {
    const wanted = addressesOf(member.peerURLs);
    const match = [...left].find(({ peerURLs }) => addressesOf(peerURLs) === wanted);
    if (match === undefined) {
      throw new TetcdError(
        'INVALID_ARGUMENT',
        `PeerURLs: no match found for existing member (${formatId(member.id)}, ` +
          `[${member.peerURLs.join(' ')}])`,
      );
    }
    left.delete(match);
    return { ...member, name: match.name };
  });
}

function addressesOf(urls: readonly string[]): string {
  return sortedUrls(urls)
    .map((url) => url.replace('//localhost:', '//127.0.0.1:'))
    .sort()
    .join(',');
}
