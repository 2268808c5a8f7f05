// Applies the requests about users, roles and authentication. Whether they are permitted was asked
// before, in permission-applier.ts.

import { type AuthRowChange, hasNoPassword } from '../../auth/index.ts';
import type { LogIndex } from '../../base/index.ts';
import { EtcdError, type etcdserverpb } from '../../protocol/index.ts';
import type { AuthStore } from '../schema/auth-store.ts';
import { APPLIED, type ApplyResult } from './apply-result.ts';
import type { AuthHost } from './auth-host.ts';
import type { AuthOperation } from './auth-operation.ts';
import { OperationApplier } from './operation-applier.ts';
import { REQUEST_KIND } from './request-envelope.ts';
import type { StoreWriter } from './store-writer.ts';

interface AuthApplierOptions {
  readonly auth: AuthStore;
  readonly host: AuthHost;
  /** Of the entry that is being applied. */
  readonly entryIndex: () => LogIndex;
}

/** What is left when the requests that only ask are taken out. */
type AuthChange = Exclude<
  AuthOperation,
  {
    readonly kind:
      | typeof REQUEST_KIND.AUTHENTICATE
      | typeof REQUEST_KIND.AUTH_STATUS
      | typeof REQUEST_KIND.AUTH_USER_GET
      | typeof REQUEST_KIND.AUTH_USER_LIST
      | typeof REQUEST_KIND.AUTH_ROLE_GET
      | typeof REQUEST_KIND.AUTH_ROLE_LIST;
  }
>;

export class AuthApplier extends OperationApplier<AuthOperation> {
  readonly #options: AuthApplierOptions;

  constructor(writer: StoreWriter, options: AuthApplierOptions) {
    super(writer);
    this.#options = options;
  }

  protected start(operation: AuthOperation, awaited: boolean): boolean {
    return this.complete(this.#apply(operation, awaited));
  }

  #apply(operation: AuthOperation, awaited: boolean): ApplyResult {
    const { state } = this.#options.auth;
    switch (operation.kind) {
      case REQUEST_KIND.AUTHENTICATE:
        return { kind: 'authenticate', token: this.#assignToken(operation.request, awaited) };
      case REQUEST_KIND.AUTH_STATUS:
        return { kind: 'authStatus', enabled: state.enabled, authRevision: state.revision };
      case REQUEST_KIND.AUTH_USER_GET:
        return { kind: 'authUserGet', roles: state.rolesOf(operation.request.name) };
      case REQUEST_KIND.AUTH_USER_LIST:
        return { kind: 'authUserList', users: state.userNames() };
      case REQUEST_KIND.AUTH_ROLE_GET:
        return { kind: 'authRoleGet', permissions: state.permissionsOf(operation.request.role) };
      case REQUEST_KIND.AUTH_ROLE_LIST:
        return { kind: 'authRoleList', roles: state.roleNames() };
      default:
        this.#change(operation);
        return APPLIED;
    }
  }

  /** The password was compared before the entry was proposed, by the member that proposed it. */
  #assignToken(request: etcdserverpb.InternalAuthenticateRequest, awaited: boolean): string {
    const { auth, host, entryIndex } = this.#options;
    const { enabled, revision } = auth.state;
    if (!enabled) throw new EtcdError('AUTH_NOT_ENABLED');
    const { name: username, simpleToken } = request;
    const user = auth.state.user(username);
    if (user === undefined || hasNoPassword(user)) throw new EtcdError('AUTH_FAILED');
    const index = entryIndex();
    return host.assignToken({ username, authRevision: revision, simpleToken, index, awaited });
  }

  #change(operation: AuthChange): void {
    const { auth, host } = this.#options;
    if (!auth.write(this.#changesOf(operation))) return;
    switch (operation.kind) {
      case REQUEST_KIND.AUTH_ENABLE:
        host.onEnabled();
        break;
      case REQUEST_KIND.AUTH_DISABLE:
        host.onDisabled();
        break;
      case REQUEST_KIND.AUTH_USER_DELETE:
      case REQUEST_KIND.AUTH_USER_CHANGE_PASSWORD:
        host.onUserChanged(operation.request.name);
        break;
    }
    host.onChanged(operation);
  }

  #changesOf(operation: AuthChange): readonly AuthRowChange[] {
    const { auth, host } = this.#options;
    const { state } = auth;
    switch (operation.kind) {
      case REQUEST_KIND.AUTH_ENABLE:
        return state.enable();
      case REQUEST_KIND.AUTH_DISABLE:
        return state.disable();
      case REQUEST_KIND.AUTH_USER_ADD:
        return state.addUser(operation.request, host.hashPassword);
      case REQUEST_KIND.AUTH_USER_DELETE:
        return state.deleteUser(operation.request);
      case REQUEST_KIND.AUTH_USER_CHANGE_PASSWORD:
        return state.changePassword(operation.request, host.hashPassword);
      case REQUEST_KIND.AUTH_USER_GRANT_ROLE:
        return state.grantRole(operation.request);
      case REQUEST_KIND.AUTH_USER_REVOKE_ROLE:
        return state.revokeRole(operation.request);
      case REQUEST_KIND.AUTH_ROLE_ADD:
        return state.addRole(operation.request);
      case REQUEST_KIND.AUTH_ROLE_DELETE:
        return state.deleteRole(operation.request);
      case REQUEST_KIND.AUTH_ROLE_GRANT_PERMISSION:
        return state.grantPermission(operation.request);
      case REQUEST_KIND.AUTH_ROLE_REVOKE_PERMISSION:
        return state.revokePermission(operation.request);
    }
  }
}
