// Users and roles for tests, changed with requests in short.

import { bytesFromLatin1, bytesFromUtf8 } from '../base/index.ts';
import { authpb, EtcdError, type EtcdErrorName } from '../protocol/index.ts';
import { AuthState } from './auth-state.ts';
import { type AuthBucket, type AuthRow, type AuthRowChange, readAuthRows } from './rows.ts';

export const { READ, WRITE, READWRITE } = authpb.Type;

/** The rows of a database, as changes leave them. */
export class Rows {
  readonly #rows = new Map<AuthBucket, Map<string, Uint8Array>>();

  apply(changes: readonly AuthRowChange[]): void {
    for (const { bucket, key, value } of changes) {
      const rows = this.#rows.get(bucket) ?? new Map<string, Uint8Array>();
      this.#rows.set(bucket, rows);
      if (value === undefined) rows.delete(key);
      else rows.set(key, value);
    }
  }

  *entries(): Generator<AuthRow> {
    for (const [bucket, rows] of this.#rows) {
      for (const [key, value] of rows) {
        yield { bucket, key, value, place: () => `${bucket}, ${JSON.stringify(key)}` };
      }
    }
  }

  /** `bucket/key: hex`, in byte order. */
  print(): string[] {
    return [...this.entries()]
      .map(({ bucket, key, value }) => `${bucket}/${key}: ${Buffer.from(value).toString('hex')}`)
      .sort();
  }

  restored(): AuthState {
    return new AuthState(readAuthRows(this.entries()));
  }
}

/** Changes the state and its rows; `undefined` or the name of the refusal. */
export class AuthRig {
  readonly rows = new Rows();
  state: AuthState = this.rows.restored();

  constructor() {
    this.rows.apply(this.state.begin());
  }

  change(make: (state: AuthState) => readonly AuthRowChange[]): EtcdErrorName | undefined {
    return refusalOf(() => this.rows.apply(make(this.state)));
  }

  addUser(name: string, password = 'x', noPassword?: boolean): EtcdErrorName | undefined {
    const options = noPassword === undefined ? undefined : { noPassword };
    const hashedPassword = Buffer.from(password).toString('base64');
    const request = { name, password: '', options, hashedPassword };
    return this.change((state) => state.addUser(request, noHash));
  }

  deleteUser(name: string): EtcdErrorName | undefined {
    return this.change((state) => state.deleteUser({ name }));
  }

  changePassword(name: string, password: string): EtcdErrorName | undefined {
    const hashedPassword = Buffer.from(password).toString('base64');
    return this.change((state) =>
      state.changePassword({ name, password: '', hashedPassword }, noHash),
    );
  }

  grantRole(user: string, role: string): EtcdErrorName | undefined {
    return this.change((state) => state.grantRole({ user, role }));
  }

  revokeRole(name: string, role: string): EtcdErrorName | undefined {
    return this.change((state) => state.revokeRole({ name, role }));
  }

  addRole(name: string): EtcdErrorName | undefined {
    return this.change((state) => state.addRole({ name }));
  }

  deleteRole(role: string): EtcdErrorName | undefined {
    return this.change((state) => state.deleteRole({ role }));
  }

  grant(name: string, permType: number, key: string, end = ''): EtcdErrorName | undefined {
    const perm = permissionOf(permType, key, end);
    return this.change((state) => state.grantPermission({ name, perm }));
  }

  revoke(role: string, key: string, end = ''): EtcdErrorName | undefined {
    const range = { key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(end) };
    return this.change((state) => state.revokePermission({ role, ...range }));
  }

  enable(): EtcdErrorName | undefined {
    return this.change((state) => state.enable());
  }

  disable(): EtcdErrorName | undefined {
    return this.change((state) => state.disable());
  }

  /** Root with its role, and authentication on. */
  secure(): this {
    this.addUser('root');
    this.grantRole('root', 'root');
    this.enable();
    return this;
  }

  /** This user, authenticated now. */
  as(username: string): { username: string; authRevision: number } {
    return { username, authRevision: this.state.revision };
  }

  /** What the user may do with a range: `r`, `w`, `rw` or nothing. */
  may(username: string, key: string, end = ''): string {
    const access = this.state.accessOf(this.as(username));
    const read = access.readRefusal(key, end) === undefined ? 'r' : '';
    return read + (access.writeRefusal(key, end) === undefined ? 'w' : '');
  }
}

/** Of requests whose password is hashed already. */
export function noHash(): never {
  throw new Error('no password is in the clear');
}

export function permissionOf(permType: number, key: string, end = ''): authpb.Permission {
  return authpb.PermissionCodec.create({
    permType: permType as authpb.Type,
    key: bytesFromLatin1(key),
    rangeEnd: bytesFromLatin1(end),
  });
}

export function refusalOf(run: () => void): EtcdErrorName | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof EtcdError) return error.code;
    throw error;
  }
}

/** The bytes of `text` in UTF-8, one char each. */
export function utf8(text: string): string {
  return Buffer.from(bytesFromUtf8(text)).toString('latin1');
}
