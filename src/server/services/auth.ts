// etcdserverpb.Auth: users, roles, and whether authentication is on; logging in.

import { isPermissionRange } from '../../auth/index.ts';
import { invariant, latin1FromBytes } from '../../base/index.ts';
import { writtenForms } from '../../membership/index.ts';
import { EtcdError, etcdserverpb, type MethodDescriptor } from '../../protocol/index.ts';
import { failWith, type MethodTraits, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import { type ApplyResult, REQUEST_KIND, type RequestKind } from '../../store/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { Logins } from '../auth/logins.ts';
import type { Passwords } from '../auth/passwords.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { ResponseHeaders } from './response-header.ts';
import { UnaryProposal } from './unary-proposal.ts';

const { AuthService, AuthUserAddRequestCodec, AuthUserChangePasswordRequestCodec } = etcdserverpb;
const methods = AuthService.methods;

export interface AuthServiceParts {
  readonly header: Pick<ResponseHeaders, 'message'>;
  readonly proposals: Pick<Proposals, 'propose'>;
  readonly reads: Pick<ReadIndexQueue, 'whenLinearizable'>;
  readonly store: StoreView<'auth' | 'cluster' | 'kv'>;
  readonly callers: Pick<Callers, 'identify'>;
  readonly logins: Pick<Logins, 'logIn'>;
  readonly passwords: Pick<Passwords, 'hash'>;
}

type Result<Kind extends ApplyResult['kind']> = Extract<ApplyResult, { readonly kind: Kind }>;
type Header = etcdserverpb.ResponseHeader;

/** Whether the caller may do it is asked when it is applied. */
const TOKEN: MethodTraits<unknown> = { access: 'token' };

export function registerAuthService(table: ServiceTable, parts: AuthServiceParts): void {
  const service = new AuthCalls(table, parts);
  table.unary(methods.authenticate, (call, request) => void service.logIn(call, request), {
    access: 'everybody',
  });
  table.unary(methods.userAdd, (call, request) => void service.addUser(call, request), TOKEN);
  table.unary(
    methods.userChangePassword,
    (call, request) => void service.changePassword(call, request),
    TOKEN,
  );
  service.change(methods.authEnable, REQUEST_KIND.AUTH_ENABLE);
  service.change(methods.authDisable, REQUEST_KIND.AUTH_DISABLE);
  service.change(methods.userDelete, REQUEST_KIND.AUTH_USER_DELETE);
  service.change(methods.userGrantRole, REQUEST_KIND.AUTH_USER_GRANT_ROLE);
  service.change(methods.userRevokeRole, REQUEST_KIND.AUTH_USER_REVOKE_ROLE);
  service.change(methods.roleAdd, REQUEST_KIND.AUTH_ROLE_ADD);
  service.change(methods.roleDelete, REQUEST_KIND.AUTH_ROLE_DELETE);
  service.change(methods.roleGrantPermission, REQUEST_KIND.AUTH_ROLE_GRANT_PERMISSION, {
    check: (request) => service.checkPermission(request),
  });
  service.change(methods.roleRevokePermission, REQUEST_KIND.AUTH_ROLE_REVOKE_PERMISSION);
  service.ask(
    methods.authStatus,
    [REQUEST_KIND.AUTH_STATUS, 'authStatus'],
    ({ enabled, authRevision }, header) => ({ header, enabled, authRevision }),
    { check: () => service.checkForms() },
  );
  service.ask(
    methods.userGet,
    [REQUEST_KIND.AUTH_USER_GET, 'authUserGet'],
    ({ roles }, header) => ({ header, roles }),
  );
  service.ask(
    methods.userList,
    [REQUEST_KIND.AUTH_USER_LIST, 'authUserList'],
    ({ users }, header) => ({ header, users }),
  );
  service.ask(
    methods.roleGet,
    [REQUEST_KIND.AUTH_ROLE_GET, 'authRoleGet'],
    ({ permissions }, header) => ({ header, perm: permissions }),
  );
  service.ask(
    methods.roleList,
    [REQUEST_KIND.AUTH_ROLE_LIST, 'authRoleList'],
    ({ roles }, header) => ({ header, roles }),
  );
}

class AuthCalls {
  readonly #table: ServiceTable;
  readonly #parts: AuthServiceParts;

  constructor(table: ServiceTable, parts: AuthServiceParts) {
    this.#table = table;
    this.#parts = parts;
  }

  // --- Registration ------------------------------------------------------------------------------

  /** A request that changes something: its answer is only that it was applied. */
  change<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    kind: RequestKind,
    traits: MethodTraits<Request> = {},
  ): void {
    const answer = (_result: Result<'applied'>, header: Header) => ({ header }) as Response;
    this.ask(method, [kind, 'applied'], answer, traits);
  }

  /** A request whose answer is made of what it had for a result. */
  ask<Request, RequestInit, Response, ResponseInit, Kind extends ApplyResult['kind']>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    [kind, resultKind]: readonly [RequestKind, Kind],
    answer: (result: Result<Kind>, header: Header) => Response,
    traits: MethodTraits<Request> = {},
  ): void {
    const handler = (call: UnaryCall, _request: Request, bytes: Uint8Array): void =>
      this.#propose(call, kind, bytes, (result) => {
        invariant(result.kind === resultKind, 'a request has the result of its kind');
        call.reply(method.response, answer(result as Result<Kind>, this.#header()));
      });
    this.#table.unary(method, handler, { ...TOKEN, ...traits });
  }

  #propose(
    call: UnaryCall,
    kind: RequestKind,
    body: Uint8Array,
    reply: (result: ApplyResult) => void,
  ): void {
    const proposal = new UnaryProposal(call, reply);
    this.#parts.proposals.propose(kind, call.caller, body, 0, body.length, proposal);
  }

  #header(): Header {
    return this.#parts.header.message(this.#parts.store.machine.kv.currentRev);
  }

  // --- What a cluster with members of 3.4 would not agree on ---------------------------------------

  /** EtcdError NOT_CAPABLE while there may be members of 3.4. */
  checkForms(): void {
    const { version } = this.#parts.store.machine.cluster;
    if (version !== undefined && writtenForms(version).authRequestsFrom35) return;
    throw new EtcdError('NOT_CAPABLE');
  }

  checkPermission({ perm }: etcdserverpb.AuthRoleGrantPermissionRequest): void {
    const isRange =
      perm !== undefined &&
      isPermissionRange(latin1FromBytes(perm.key), latin1FromBytes(perm.rangeEnd));
    if (!isRange) this.checkForms();
  }

  // --- Passwords ---------------------------------------------------------------------------------

  async logIn(call: UnaryCall, request: etcdserverpb.AuthenticateRequest): Promise<void> {
    try {
      const token = await this.#parts.logins.logIn(call, request);
      call.reply(methods.authenticate.response, { header: this.#header(), token });
    } catch (error) {
      failWithEtcdError(call, error);
    }
  }

  /** The log gets the hash. */
  async addUser(call: UnaryCall, request: etcdserverpb.AuthUserAddRequest): Promise<void> {
    const hashes = request.options?.noPassword !== true;
    await this.#withHash(call, hashes ? request.password : undefined, (hash) => {
      const hashedPassword = hash ?? request.hashedPassword;
      const body = AuthUserAddRequestCodec.encode({ ...request, password: '', hashedPassword });
      this.#propose(call, REQUEST_KIND.AUTH_USER_ADD, body, () =>
        call.reply(methods.userAdd.response, { header: this.#header() }),
      );
    });
  }

  /** As in etcd, a request may bring the hash in place of the password. */
  async changePassword(
    call: UnaryCall,
    request: etcdserverpb.AuthUserChangePasswordRequest,
  ): Promise<void> {
    await this.#withHash(call, request.password || undefined, (hash) => {
      const hashedPassword = hash ?? request.hashedPassword;
      const body = AuthUserChangePasswordRequestCodec.encode({
        ...{ name: request.name, password: '', hashedPassword },
      });
      this.#propose(call, REQUEST_KIND.AUTH_USER_CHANGE_PASSWORD, body, () =>
        call.reply(methods.userChangePassword.response, { header: this.#header() }),
      );
    });
  }

  async #withHash(
    call: UnaryCall,
    password: string | undefined,
    then: (hash: string | undefined) => void,
  ): Promise<void> {
    const { callers, passwords } = this.#parts;
    try {
      this.checkForms();
      await this.#mustAdminister(call);
      const hash = password === undefined ? undefined : await passwords.hash(password);
      // The token may have ended meanwhile.
      const identity = await callers.identify(call);
      if (typeof identity === 'string') throw new EtcdError(identity);
      if (call.isWanted()) then(hash);
    } catch (error) {
      failWithEtcdError(call, error);
    }
  }

  /** Hashing is dear: who may not add users does not get so far. This member may know less than others. */
  async #mustAdminister(call: UnaryCall): Promise<void> {
    const { reads, store } = this.#parts;
    const refusal = () => store.machine.auth.state.adminRefusal(call.caller);
    if (refusal() === undefined) return;
    const failed = (await reads.whenLinearizable()) ?? refusal();
    if (failed !== undefined) throw new EtcdError(failed);
  }
}

function failWithEtcdError(call: UnaryCall, error: unknown): void {
  if (!(error instanceof EtcdError)) throw error;
  failWith(call, error.code);
}
