// Users and roles as they are persisted: what `AuthState` decides, together with its three buckets.

import {
  type AuthBucket,
  type AuthRow,
  type AuthRowChange,
  AuthState,
  readAuthRows,
} from '../../auth/index.ts';
import type { Backend } from '../backend/backend.ts';
import type { BackendSnapshot } from '../backend/committed-view.ts';
import { BUCKET, type BucketId } from './schema.ts';

const BUCKET_OF: Readonly<Record<AuthBucket, BucketId>> = {
  auth: BUCKET.AUTH,
  authUsers: BUCKET.AUTH_USERS,
  authRoles: BUCKET.AUTH_ROLES,
};

/** What the rows say; as `readAuthRows` for one that says nothing. */
export function restoreAuth(rows: Pick<BackendSnapshot, 'entries' | 'placeOf'>): AuthState {
  return new AuthState(readAuthRows(rowsOf(rows)));
}

function* rowsOf(rows: Pick<BackendSnapshot, 'entries' | 'placeOf'>): Generator<AuthRow> {
  for (const bucket of Object.keys(BUCKET_OF) as AuthBucket[]) {
    const id = BUCKET_OF[bucket];
    for (const [key, value] of rows.entries(id)) {
      yield { bucket, key, value, place: () => rows.placeOf(id, key) };
    }
  }
}

export class AuthStore {
  readonly state: AuthState;
  readonly #backend: Backend;

  constructor(state: AuthState, backend: Backend) {
    this.state = state;
    this.#backend = backend;
    this.write(state.begin());
  }

  /** Writes what a change came to; false if it came to nothing. */
  write(rows: readonly AuthRowChange[]): boolean {
    for (const { bucket, key, value } of rows) this.#backend.set(BUCKET_OF[bucket], key, value);
    return rows.length > 0;
  }
}
