// Requests about users, roles and authentication, as the log has them.

import { mayBeReplaced } from '../../auth/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { REQUEST_KIND, type RequestKind } from './request-envelope.ts';

const CODECS = {
  [REQUEST_KIND.AUTHENTICATE]: etcdserverpb.InternalAuthenticateRequestCodec,
  [REQUEST_KIND.AUTH_ENABLE]: etcdserverpb.AuthEnableRequestCodec,
  [REQUEST_KIND.AUTH_DISABLE]: etcdserverpb.AuthDisableRequestCodec,
  [REQUEST_KIND.AUTH_STATUS]: etcdserverpb.AuthStatusRequestCodec,
  [REQUEST_KIND.AUTH_USER_ADD]: etcdserverpb.AuthUserAddRequestCodec,
  [REQUEST_KIND.AUTH_USER_DELETE]: etcdserverpb.AuthUserDeleteRequestCodec,
  [REQUEST_KIND.AUTH_USER_CHANGE_PASSWORD]: etcdserverpb.AuthUserChangePasswordRequestCodec,
  [REQUEST_KIND.AUTH_USER_GRANT_ROLE]: etcdserverpb.AuthUserGrantRoleRequestCodec,
  [REQUEST_KIND.AUTH_USER_GET]: etcdserverpb.AuthUserGetRequestCodec,
  [REQUEST_KIND.AUTH_USER_REVOKE_ROLE]: etcdserverpb.AuthUserRevokeRoleRequestCodec,
  [REQUEST_KIND.AUTH_ROLE_ADD]: etcdserverpb.AuthRoleAddRequestCodec,
  [REQUEST_KIND.AUTH_ROLE_GRANT_PERMISSION]: etcdserverpb.AuthRoleGrantPermissionRequestCodec,
  [REQUEST_KIND.AUTH_ROLE_GET]: etcdserverpb.AuthRoleGetRequestCodec,
  [REQUEST_KIND.AUTH_ROLE_REVOKE_PERMISSION]: etcdserverpb.AuthRoleRevokePermissionRequestCodec,
  [REQUEST_KIND.AUTH_ROLE_DELETE]: etcdserverpb.AuthRoleDeleteRequestCodec,
  [REQUEST_KIND.AUTH_USER_LIST]: etcdserverpb.AuthUserListRequestCodec,
  [REQUEST_KIND.AUTH_ROLE_LIST]: etcdserverpb.AuthRoleListRequestCodec,
} as const;

type Codecs = typeof CODECS;
type AuthKind = keyof Codecs;

export type AuthOperation = {
  readonly [Kind in AuthKind]: {
    readonly kind: Kind;
    readonly request: ReturnType<Codecs[Kind]['decode']>;
  };
}[AuthKind];

export function isAuthKind(kind: RequestKind): kind is AuthKind {
  return kind in CODECS;
}

/** MALFORMED also for text that is no UTF-8: 3.7 cannot read it, and replaced it would name others. */
export function decodeAuthOperation(
  kind: AuthKind,
  payload: Uint8Array,
  start: number,
  end: number,
): AuthOperation {
  const codec = CODECS[kind];
  let request = codec.decode(payload, start, end);
  const texts = Object.values(request).filter((value) => typeof value === 'string');
  if (texts.some(mayBeReplaced)) request = codec.decodeRequest(payload.subarray(start, end));
  return { kind, request } as AuthOperation;
}
