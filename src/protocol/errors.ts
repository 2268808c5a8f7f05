// etcd's errors as gRPC clients see them: status and exact text. Clients match on the text.
//
// The server replies with an EtcdError; the client turns a status message back into a name. An error
// that is not in the table reaches clients as UNKNOWN with its own text.

/** gRPC status numbers; `grpc` has the same list for the transport, which knows no etcd error. */
const S = {
  CANCELED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  OUT_OF_RANGE: 11,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export interface EtcdErrorDefinition {
  /** Status that the error is defined with; clients compare with this one. */
  readonly status: number;
  readonly message: string;
  /** Status that etcd really sends, where it loses the defined one on the way. */
  readonly sent?: number;
}

/** Names follow etcd's `rpctypes` (`ErrGRPCEmptyKey` is EMPTY_KEY), api/v3rpc/rpctypes/error.go. */
export const ETCD_ERRORS = {
  EMPTY_KEY: { status: S.INVALID_ARGUMENT, message: 'etcdserver: key is not provided' },
  KEY_NOT_FOUND: { status: S.INVALID_ARGUMENT, message: 'etcdserver: key not found' },
  VALUE_PROVIDED: { status: S.INVALID_ARGUMENT, message: 'etcdserver: value is provided' },
  LEASE_PROVIDED: { status: S.INVALID_ARGUMENT, message: 'etcdserver: lease is provided' },
  TOO_MANY_OPS: {
    status: S.INVALID_ARGUMENT,
    message: 'etcdserver: too many operations in txn request',
  },
  DUPLICATE_KEY: {
    status: S.INVALID_ARGUMENT,
    message: 'etcdserver: duplicate key given in txn request',
  },
  INVALID_CLIENT_API_VERSION: {
    status: S.INVALID_ARGUMENT,
    message: 'etcdserver: invalid client api version',
  },
  INVALID_SORT_OPTION: { status: S.INVALID_ARGUMENT, message: 'etcdserver: invalid sort option' },
  COMPACTED: {
    status: S.OUT_OF_RANGE,
    message: 'etcdserver: mvcc: required revision has been compacted',
  },
  FUTURE_REV: {
    status: S.OUT_OF_RANGE,
    message: 'etcdserver: mvcc: required revision is a future revision',
  },
  NO_SPACE: { status: S.RESOURCE_EXHAUSTED, message: 'etcdserver: mvcc: database space exceeded' },
  LEASE_NOT_FOUND: { status: S.NOT_FOUND, message: 'etcdserver: requested lease not found' },
  LEASE_EXIST: { status: S.FAILED_PRECONDITION, message: 'etcdserver: lease already exists' },
  LEASE_TTL_TOO_LARGE: { status: S.OUT_OF_RANGE, message: 'etcdserver: too large lease TTL' },
  WATCH_CANCELED: { status: S.CANCELED, message: 'etcdserver: watch canceled' },
  MEMBER_EXIST: { status: S.FAILED_PRECONDITION, message: 'etcdserver: member ID already exist' },
  PEER_URL_EXIST: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: Peer URLs already exists',
  },
  MEMBER_NOT_ENOUGH_STARTED: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: re-configuration failed due to not enough started members',
    sent: S.UNKNOWN,
  },
  MEMBER_BAD_URLS: {
    status: S.INVALID_ARGUMENT,
    message: 'etcdserver: given member URLs are invalid',
  },
  MEMBER_NOT_FOUND: { status: S.NOT_FOUND, message: 'etcdserver: member not found' },
  MEMBER_NOT_LEARNER: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: can only promote a learner member',
  },
  LEARNER_NOT_READY: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: can only promote a learner member which is in sync with leader',
  },
  TOO_MANY_LEARNERS: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: too many learner members in cluster',
  },
  CLUSTER_ID_MISMATCH: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: cluster ID mismatch',
  },
  REQUEST_TOO_LARGE: { status: S.INVALID_ARGUMENT, message: 'etcdserver: request is too large' },
  REQUEST_TOO_MANY_REQUESTS: {
    status: S.RESOURCE_EXHAUSTED,
    message: 'etcdserver: too many requests',
    sent: S.UNKNOWN,
  },
  ROOT_USER_NOT_EXIST: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: root user does not exist',
  },
  ROOT_ROLE_NOT_EXIST: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: root user does not have root role',
  },
  USER_ALREADY_EXIST: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: user name already exists',
  },
  USER_EMPTY: { status: S.INVALID_ARGUMENT, message: 'etcdserver: user name is empty' },
  USER_NOT_FOUND: { status: S.FAILED_PRECONDITION, message: 'etcdserver: user name not found' },
  ROLE_ALREADY_EXIST: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: role name already exists',
  },
  ROLE_NOT_FOUND: { status: S.FAILED_PRECONDITION, message: 'etcdserver: role name not found' },
  ROLE_EMPTY: { status: S.INVALID_ARGUMENT, message: 'etcdserver: role name is empty' },
  AUTH_FAILED: {
    status: S.INVALID_ARGUMENT,
    message: 'etcdserver: authentication failed, invalid user ID or password',
  },
  PERMISSION_NOT_GIVEN: { status: S.INVALID_ARGUMENT, message: 'etcdserver: permission not given' },
  PERMISSION_DENIED: { status: S.PERMISSION_DENIED, message: 'etcdserver: permission denied' },
  ROLE_NOT_GRANTED: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: role is not granted to the user',
  },
  PERMISSION_NOT_GRANTED: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: permission is not granted to the role',
  },
  AUTH_NOT_ENABLED: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: authentication is not enabled',
  },
  INVALID_AUTH_TOKEN: { status: S.UNAUTHENTICATED, message: 'etcdserver: invalid auth token' },
  INVALID_AUTH_MGMT: { status: S.INVALID_ARGUMENT, message: 'etcdserver: invalid auth management' },
  AUTH_OLD_REVISION: {
    status: S.INVALID_ARGUMENT,
    message: 'etcdserver: revision of auth store is old',
  },
  NO_LEADER: { status: S.UNAVAILABLE, message: 'etcdserver: no leader' },
  NOT_LEADER: { status: S.FAILED_PRECONDITION, message: 'etcdserver: not leader' },
  LEADER_CHANGED: { status: S.UNAVAILABLE, message: 'etcdserver: leader changed' },
  NOT_CAPABLE: { status: S.FAILED_PRECONDITION, message: 'etcdserver: not capable' },
  STOPPED: { status: S.UNAVAILABLE, message: 'etcdserver: server stopped' },
  TIMEOUT: { status: S.UNAVAILABLE, message: 'etcdserver: request timed out' },
  TIMEOUT_DUE_TO_LEADER_FAIL: {
    status: S.UNAVAILABLE,
    message: 'etcdserver: request timed out, possibly due to previous leader failure',
  },
  TIMEOUT_DUE_TO_CONNECTION_LOST: {
    status: S.UNAVAILABLE,
    message: 'etcdserver: request timed out, possibly due to connection lost',
  },
  TIMEOUT_WAIT_APPLIED_INDEX: {
    status: S.UNAVAILABLE,
    message: 'etcdserver: request timed out, waiting for the applied index took too long',
  },
  UNHEALTHY: { status: S.UNAVAILABLE, message: 'etcdserver: unhealthy cluster' },
  CORRUPT: { status: S.DATA_LOSS, message: 'etcdserver: corrupt cluster' },
  NOT_SUPPORTED_FOR_LEARNER: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: rpc not supported for learner',
  },
  BAD_LEADER_TRANSFEREE: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: bad leader transferee',
  },
  WRONG_DOWNGRADE_VERSION_FORMAT: {
    status: S.INVALID_ARGUMENT,
    message: 'etcdserver: wrong downgrade target version format',
  },
  INVALID_DOWNGRADE_TARGET_VERSION: {
    status: S.INVALID_ARGUMENT,
    message: 'etcdserver: invalid downgrade target version',
  },
  CLUSTER_VERSION_UNAVAILABLE: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: cluster version not found during downgrade',
  },
  DOWNGRADE_IN_PROCESS: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: cluster has a downgrade job in progress',
  },
  NO_INFLIGHT_DOWNGRADE: {
    status: S.FAILED_PRECONDITION,
    message: 'etcdserver: no inflight downgrade job',
  },
  CANCELED: { status: S.CANCELED, message: 'etcdserver: request canceled' },
  DEADLINE_EXCEEDED: {
    status: S.DEADLINE_EXCEEDED,
    message: 'etcdserver: context deadline exceeded',
  },

  // Go's own, for a request whose caller gave up or whose time is over.
  CONTEXT_CANCELED: { status: S.CANCELED, message: 'context canceled' },
  CONTEXT_DEADLINE_EXCEEDED: {
    status: S.DEADLINE_EXCEEDED,
    message: 'context deadline exceeded',
  },

  // Errors of etcd's inner layers that no table maps: they reach clients as UNKNOWN.
  UNKNOWN_METHOD: { status: S.UNKNOWN, message: 'etcdserver: unknown method' },
  TIMEOUT_LEADER_TRANSFER: {
    status: S.UNKNOWN,
    message: 'etcdserver: request timed out, leader transfer took too long',
  },
  NO_PASSWORD_USER: {
    status: S.UNKNOWN,
    message: 'auth: authentication failed, password was given for no password user',
  },
  PASSWORD_TOO_LONG: { status: S.UNKNOWN, message: 'bcrypt: password length exceeds 72 bytes' },
  TOKEN_VERIFY_ONLY: {
    status: S.UNKNOWN,
    message: 'auth: token signing attempted with verify-only key',
  },
} as const satisfies Record<string, EtcdErrorDefinition>;

/** The name of an error of etcd's API. */
export type EtcdErrorName = keyof typeof ETCD_ERRORS;

/** What an RPC fails with when etcd has a name for it. Match on `code`. */
export class EtcdError extends Error {
  override readonly name = 'EtcdError';
  readonly code: EtcdErrorName;
  /** gRPC status to reply with. */
  readonly status: number;

  constructor(code: EtcdErrorName, options?: { readonly cause?: unknown }) {
    const definition: EtcdErrorDefinition = ETCD_ERRORS[code];
    super(definition.message, options);
    this.code = code;
    this.status = definition.sent ?? definition.status;
  }
}

const byMessage: ReadonlyMap<string, EtcdErrorName> = new Map(
  Object.entries(ETCD_ERRORS).map(([name, { message }]) => [message, name as EtcdErrorName]),
);

/** The error with this text, as received in a status message; undefined if etcd has none. */
export function etcdErrorOfMessage(message: string): EtcdErrorName | undefined {
  return byMessage.get(message);
}

/** Whether `error` is the EtcdError of this name. */
export function isEtcdError(error: unknown, code: EtcdErrorName): error is EtcdError {
  return error instanceof EtcdError && error.code === code;
}
