// What a caller may do with keys, decided once per request and asked for each of its keys.

import type { EtcdErrorName } from '../protocol/index.ts';
import { intervalOf } from './permission.ts';
import type { PermissionTree } from './permission-tree.ts';

/** In whose name a request is made, under the names of etcd's `RequestHeader`. */
export interface AuthInfo {
  readonly username: string;
  /** Revision of users and roles that the user was authenticated against; 0 for nobody. */
  readonly authRevision: number;
}

/** Good for the users and roles as of one revision; ask `AuthState` again for the next request. */
export class Access {
  /** Authentication is off, or the user has the role `root`. */
  static readonly EVERYTHING: Access = new Access(undefined, undefined, undefined);
  static readonly #refused = new Map<EtcdErrorName, Access>();

  readonly #refusal: EtcdErrorName | undefined;
  readonly #read: PermissionTree | undefined;
  readonly #write: PermissionTree | undefined;

  private constructor(
    refusal: EtcdErrorName | undefined,
    read: PermissionTree | undefined,
    write: PermissionTree | undefined,
  ) {
    this.#refusal = refusal;
    this.#read = read;
    this.#write = write;
  }

  /** To every key the same answer. */
  static refused(error: EtcdErrorName): Access {
    let access = Access.#refused.get(error);
    if (access === undefined) {
      access = new Access(error, undefined, undefined);
      Access.#refused.set(error, access);
    }
    return access;
  }

  static granted(read: PermissionTree, write: PermissionTree): Access {
    return new Access('PERMISSION_DENIED', read, write);
  }

  /** Every key may be read and written: there is nothing to ask. */
  get isUnlimited(): boolean {
    return this.#refusal === undefined;
  }

  /**
   * Why the range may not be read; undefined if it may. `key` and `rangeEnd` are a request's, exactly as
   * they were sent, one char per byte.
   */
  readRefusal(key: string, rangeEnd: string): EtcdErrorName | undefined {
    return this.#permits(this.#read, key, rangeEnd) ? undefined : this.#refusal;
  }

  /** {@link readRefusal} for writing; of a put, `rangeEnd` is `''`. */
  writeRefusal(key: string, rangeEnd: string): EtcdErrorName | undefined {
    return this.#permits(this.#write, key, rangeEnd) ? undefined : this.#refusal;
  }

  #permits(tree: PermissionTree | undefined, key: string, rangeEnd: string): boolean {
    if (tree === undefined) return false;
    const [begin, end] = intervalOf(key, rangeEnd);
    return rangeEnd === '' ? tree.intersects(begin, end) : tree.covers(begin, end);
  }
}
