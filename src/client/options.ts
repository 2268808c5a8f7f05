// Options of the client, and of single calls.

import type { Clock, Entropy, Timers } from '../env/index.ts';
import type { Connect } from '../grpc/index.ts';
import type { ClientTlsSettings } from '../net/index.ts';

/** TLS settings: trusted authorities, and the client's own certificate. */
export type TlsOptions = ClientTlsSettings;

/** A user with a password, or a token obtained elsewhere. */
export type AuthOptions =
  | { readonly user: string; readonly password: string }
  | { readonly token: string };

/** Keepalive pings. Milliseconds. */
export interface KeepaliveOptions {
  /** A ping is sent after this long without input, at least 10,000; Infinity for never. */
  readonly intervalMs: number;
  /** The connection is closed if nothing arrives for this long after a ping. */
  readonly timeoutMs: number;
}

/** The effects of the client; replaced in simulations. */
export interface Runtime {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly connect: Connect;
}

/** How a client connects, and defaults for its calls. Times are in milliseconds. */
export interface ClientOptions {
  /**
   * `host:port`, `http://host:port`, `https://host:port`, `unix:/path`, `unixs:/path`; the port is
   * 2379 by default. The scheme decides whether it is encrypted. Calls are spread over all that are
   * connected.
   */
  readonly endpoints: string | readonly string[];
  /**
   * TLS settings of encrypted endpoints: those with `https:` or `unixs:`, and those without a scheme if
   * this option is given or another endpoint is encrypted. `true` is all defaults. A function is called
   * for every connection, for certificates that change: the same object means unchanged settings.
   */
  readonly tls?: TlsOptions | (() => TlsOptions) | true | undefined;
  readonly auth?: AuthOptions | undefined;
  /** Default timeout of unary calls. Default: none. */
  readonly timeoutMs?: number | undefined;
  /** Time for one endpoint to connect. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * Calls wait for a connection until their timeout, instead of failing with UNAVAILABLE when all
   * endpoints have refused repeatedly. Default false. Watches and kept leases always wait.
   */
  readonly waitForReady?: boolean | undefined;
  /** Default: no pings. */
  readonly keepalive?: KeepaliveOptions | undefined;
  /** Largest request sent. Default 2 MiB. */
  readonly sendBytesMax?: number | undefined;
  /** Largest response accepted. Default 2^31-1. */
  readonly receiveBytesMax?: number | undefined;
  /**
   * Rounds of retries of a call that is safe to repeat; each round tries a majority of the endpoints.
   * Default 5.
   */
  readonly retriesMax?: number | undefined;
  /** Default for `requireLeader` of unary calls. Default false. */
  readonly requireLeader?: boolean | undefined;
  /** Interval at which the endpoints are replaced by those of the member list. Default: never. */
  readonly autoSyncIntervalMs?: number | undefined;
  readonly runtime?: Runtime | undefined;
}

/** Options of one call. */
export interface CallOptions {
  /** The call rejects with DEADLINE_EXCEEDED after this long; Infinity for no timeout. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * A member without a leader rejects the call with NO_LEADER instead of waiting for one. Default: the
   * client's option.
   */
  readonly requireLeader?: boolean | undefined;
}
