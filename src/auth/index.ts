// Users, roles and what they permit: decisions. Start with `AuthState`.

export type { Access, AuthInfo } from './access.ts';
export { AuthState } from './auth-state.ts';
export { LeaseAccess } from './lease-access.ts';
export { mayBeReplaced } from './names.ts';
export type { HashPassword } from './password.ts';
export { isPermissionRange } from './permission.ts';
export { deleteRefusal, putRefusal, rangeRefusal, txnRefusal } from './request-access.ts';
export {
  type AuthBucket,
  type AuthRow,
  type AuthRowChange,
  readAuthRows,
} from './rows.ts';
export { hasNoPassword } from './user.ts';
