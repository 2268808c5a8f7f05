// What etcd promises about watches of users: none is created that its user was not permitted at any
// moment of the request, or whose token was no longer good; and what is refused has a reason.
//
// Who loses a permission keeps the watches that there are, whose events `watch-guarantees.ts` judges.

import type { AuthModel, AuthStates } from './auth-states.ts';
import type { History, Keys, Moment, Violation } from './history.ts';

/** Between them a login was decided. */
export interface LoginMoments {
  readonly called: Moment;
  readonly returned: Moment;
}

/** A watch that was asked for on a stream with the token of a login. */
export interface WatchAsked {
  readonly user: string;
  readonly login: LoginMoments;
  readonly keys: Keys;
  readonly called: Moment;
  readonly returned: Moment;
  /** Undefined: it was created. */
  readonly refusal: string | undefined;
}

export interface WatchEvidence {
  readonly states: AuthStates;
  readonly tokens: 'simple' | 'jwt';
  readonly asked: readonly WatchAsked[];
  /** By names of watches in the history, each of which logs in as it opens. */
  readonly users: ReadonlyMap<string, string>;
}

export function checkWatchPermissions(history: History, evidence: WatchEvidence): Violation[] {
  const { states, tokens } = evidence;
  return allAsked(history, evidence).flatMap((asked) => {
    const { user, login, keys, called, returned, refusal } = asked;
    const logins = states.committed(login.called.order, login.returned.order);
    const applied = states.applied(called.order, returned.order);
    // A member that is behind takes a JWT of users and roles that it does not know yet.
    const isGood = (state: AuthModel) =>
      logins.some((known) =>
        tokens === 'jwt'
          ? known.revision >= state.revision
          : known.tokenLife(user) === state.tokenLife(user),
      );
    const mayBeOld = ({ revision }: AuthModel) => logins.some((known) => known.revision < revision);
    const permits = (state: AuthModel) => state.permits(user, 'read', keys.key, keys.end);
    const explained = (): boolean => {
      switch (reasonIn(refusal)) {
        case undefined:
          return applied.some(
            (state) => !state.enabled || (isGood(state) && permits(state) !== false),
          );
        case 'permission denied':
          return applied.some((state) => state.enabled && isGood(state) && permits(state) !== true);
        case 'user name is empty':
          // Who opens a stream while authentication is off has no token.
          return states.applied(login.called.order, returned.order).some(({ enabled }) => !enabled);
        case 'invalid auth token':
          // One that a member does not know yet, or no longer after a restart, is answered so too.
          return tokens === 'simple';
        case 'revision of auth store is old':
          return tokens === 'jwt' && applied.some((state) => mayBeOld(state));
        default:
          return true;
      }
    };
    if (explained()) return [];
    const rule = refusal === undefined ? 'watch never permitted' : 'watch refused without reason';
    const described = applied.map(({ enabled, revision, users, roles }) =>
      JSON.stringify({ enabled, revision, users, roles }),
    );
    return [{ rule, text: `${JSON.stringify(asked)}; ${described.join('; ')}` }];
  });
}

/** How often a watch of a user was refused for which reason, and `permitted`. */
export function countWatches(history: History, evidence: WatchEvidence): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { refusal } of allAsked(history, evidence)) {
    const name = `watch ${reasonIn(refusal) ?? 'permitted'}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function allAsked({ watches }: History, { asked, users }: WatchEvidence): WatchAsked[] {
  const lasting = watches.flatMap(
    ({ client, request: keys, opened, created, end }): WatchAsked[] => {
      const user = users.get(client);
      if (user === undefined) return [];
      const known = { user, keys, called: opened };
      if (created !== undefined) {
        const { at: returned } = created;
        return [{ ...known, login: { called: opened, returned }, returned, refusal: undefined }];
      }
      if (end?.kind !== 'canceled') return [];
      const { at: returned, reason: refusal } = end;
      return [{ ...known, login: { called: opened, returned }, returned, refusal }];
    },
  );
  return [...asked, ...lasting];
}

function reasonIn(refusal: string | undefined): string | undefined {
  return refusal?.replace(/^.*etcdserver: /, '');
}
