// Bounds of authentication: what they are, why, and what happens when one is reached.

/**
 * Characters of a token. A JWT with a 4,096-bit signature and a page of claims has some 2,000. Longer:
 * refused as invalid, unread.
 */
export const TOKEN_CHARS_MAX: number = 16 * 1024;

/**
 * Simple tokens of one user: at 1,000 logins a second and five minutes to live those of ten seconds, about
 * 2 MB. Reached: the user's oldest token goes; no other user notices.
 */
export const USER_TOKENS_MAX = 10_000;

/** How often expired simple tokens are forgotten; expired they are at once. */
export const TOKEN_SWEEP_MS = 5_000;

/** JWTs whose signature was verified and is remembered. Reached: the one remembered longest goes. */
export const VERIFIED_TOKENS_MAX = 10_000;

/**
 * JWTs whose signature is being verified, each up to a millisecond of a thread. Reached: calls with
 * another token get `etcdserver: too many requests`.
 */
export const VERIFYING_TOKENS_MAX = 1_000;

/** Bytes of a key file: a PEM of 16,384-bit RSA has 13,000. Longer: the member does not start. */
export const KEY_FILE_BYTES_MAX: number = 1024 * 1024;

/**
 * Threads that hash passwords; a tenth of a second each at cost 10. More cores than these are left to the
 * rest of the machine.
 */
export const PASSWORD_THREADS_MAX = 4;

/** Nice value of such a thread: beside a busy event loop on one core it gets a tenth of it. */
export const PASSWORD_THREAD_PRIORITY = 10;

/**
 * Passwords that wait for such a thread: at cost 10 what one thread gets done within the time of a request.
 * Reached: logins and new passwords get `etcdserver: too many requests`.
 */
export const PASSWORD_JOBS_MAX = 64;

/** Time for one, on its thread: what cost 19 takes. Reached: the thread is ended and the request fails. */
export const PASSWORD_JOB_MS_MAX = 60_000;

/** How long a password that was right is known to be, and how many are. */
export const VERIFIED_PASSWORD_MS = 10_000;
export const VERIFIED_PASSWORDS_MAX = 1_000;

/** Failed logins of a user, or from an address, of which none waits yet: everybody mistypes. */
export const FAILURES_WITHOUT_DELAY = 3;
/**
 * How long the next one waits, doubled with each that follows, up to the longest: well within the 2 s that
 * etcdctl gives a dial, which includes its login.
 */
export const LOGIN_DELAY_MS_MIN = 50;
export const LOGIN_DELAY_MS_MAX = 1_000;
/** How long after the last one failures are forgotten. */
export const FAILURES_KEPT_MS = 60_000;
/**
 * Users, and addresses, whose failures are counted, some 2 MB. Reached: who failed longest ago is
 * forgotten.
 */
export const FAILURES_KEPT_NAMES = 10_000;
/** Logins that wait. Reached: more that would have to get `etcdserver: too many requests`. */
export const LOGINS_DELAYED_MAX = 1_000;

/** Keys of leases that are looked at in one turn. */
export const LEASE_CHECK_KEYS = 1_000;

/** Logins whose users changed under them are begun again as often as this; then `AUTH_OLD_REVISION`. */
export const LOGIN_ROUNDS_MAX = 10;
