// What a user tells the client: once for all calls, and per call.

import type { Clock, Entropy, Timers } from '../env/index.ts';
import type { Connect } from '../grpc/index.ts';
import type { ClientTlsSettings } from '../net/index.ts';

/** Whom to trust, and who the client is. */
export type TlsOptions = ClientTlsSettings;

/** A user with a password, or a token that was given out elsewhere. */
export type AuthOptions =
  | { readonly user: string; readonly password: string }
  | { readonly token: string };

/** When the client asks whether a connection still lives. Milliseconds. */
export interface KeepaliveOptions {
  /** A ping is sent after this long without input, at least 10,000; Infinity for never. */
  readonly intervalMs: number;
  /** The connection is given up if nothing arrives for this long after a ping. */
  readonly timeoutMs: number;
}

/** Where the client's effects come from; replaced in simulations. */
export interface Runtime {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly connect: Connect;
}

/** How a client connects and what holds for all of its calls. Times are in milliseconds. */
export interface ClientOptions {
  /**
   * `host:port`, `http://host:port`, `https://host:port`, `unix:/path`, `unixs:/path`; the port is
   * 2379 if left out. Each is encrypted or not as it says. Calls are spread over all that answer.
   */
  readonly endpoints: string | readonly string[];
  /**
   * For endpoints that are encrypted: those that say so, and, if this or another endpoint asks for it,
   * those that say nothing. `true` is all defaults. A function is asked for every connection, for
   * certificates that change: the same object means that nothing has.
   */
  readonly tls?: TlsOptions | (() => TlsOptions) | true | undefined;
  readonly auth?: AuthOptions | undefined;
  /** Time limit of a unary call that brings none of its own. Default: none. */
  readonly timeoutMs?: number | undefined;
  /** Time for one endpoint to connect. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * A call waits for a connection as long as its time limit allows, instead of failing UNAVAILABLE
   * when all endpoints have refused repeatedly. Default false. Watches and kept leases always wait.
   */
  readonly waitForReady?: boolean | undefined;
  /** Default: no pings. */
  readonly keepalive?: KeepaliveOptions | undefined;
  /** Largest request sent. Default 2 MiB. */
  readonly sendBytesMax?: number | undefined;
  /** Largest response accepted. Default 2^31-1. */
  readonly receiveBytesMax?: number | undefined;
  /**
   * How often a call that is safe to repeat is repeated, for each of as many endpoints as make a
   * majority. Default 5.
   */
  readonly retriesMax?: number | undefined;
  /** Unary calls that do not say so themselves are served by members with a leader only. Default false. */
  readonly requireLeader?: boolean | undefined;
  /** The endpoints are replaced by those of the member list this often. Default: never. */
  readonly autoSyncIntervalMs?: number | undefined;
  readonly runtime?: Runtime | undefined;
}

/** Of one call. */
export interface CallOptions {
  /** The call fails DEADLINE_EXCEEDED after this long; Infinity for never. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * A member that knows no leader refuses at once (NO_LEADER) instead of waiting for one. Default: as
   * the client's options say.
   */
  readonly requireLeader?: boolean | undefined;
}
