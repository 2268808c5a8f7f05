// Leases: keys attached to one are deleted when it ends.

import { EtcdError, etcdserverpb } from '../../protocol/index.ts';
import { checkFlags, checkId, checkInteger, checkObject } from '../arguments.ts';
import type { CallOptions } from '../options.ts';
import { printed } from '../printed.ts';
import { type ResponseHeader, resultHeader } from '../results.ts';
import type { Calls } from '../transport/calls.ts';
import {
  type KeepAliveOptions,
  type KeepAliveResponse,
  KeepAliveStream,
  type LeaseKeeper,
} from './keep-alive.ts';

const { methods } = etcdserverpb.LeaseService;

/** Result of a grant: the lease's id and the TTL that the server chose. */
export interface LeaseGrantResult {
  readonly header: ResponseHeader;
  readonly id: bigint;
  /** Granted TTL in seconds: the requested one, or the server's minimum if that is more. */
  readonly ttl: number;
}

/** Remaining TTL of a lease. */
export interface LeaseTimeToLiveResult {
  readonly header: ResponseHeader;
  readonly id: bigint;
  /** Seconds left; -1 if there is no such lease. */
  readonly ttl: number;
  /** Seconds granted; 0 if there is no such lease. */
  readonly grantedTtl: number;
  /** Keys attached, if asked for. */
  readonly keys: readonly Uint8Array[];
}

/** Result of `list`: the ids of all leases. */
export interface LeaseListResult {
  readonly header: ResponseHeader;
  readonly leases: readonly bigint[];
}

/** Leases: the keys attached to one are deleted when it expires or is revoked. Times are in seconds. */
export class LeaseClient {
  readonly #calls: Calls;
  readonly #keepAlives: KeepAliveStream;

  constructor(calls: Calls, firstTimeoutMs: number) {
    this.#calls = calls;
    this.#keepAlives = new KeepAliveStream(calls, firstTimeoutMs);
  }

  /** Grants a lease of `ttl` seconds; the server chooses its id unless one is given. */
  async grant(
    ttl: number,
    options: { readonly id?: bigint | undefined } & CallOptions = {},
  ): Promise<LeaseGrantResult> {
    checkInteger(ttl, 'ttl');
    checkObject(options, 'options');
    const { id = 0n } = options;
    checkId(id, 'id');
    const request = methods.leaseGrant.request.create({ ttl, id });
    // A duplicate lease expires unused; with a given id, the second attempt would be refused.
    const repeat = request.id === 0n ? 'always' : 'unbegun';
    const response = await this.#calls.unary(methods.leaseGrant, request, options, repeat);
    return printed({ header: resultHeader(response.header), id: response.id, ttl: response.ttl });
  }

  /**
   * Revokes the lease and deletes its keys. LEASE_NOT_FOUND can also mean that an earlier attempt of this
   * call succeeded and its response was lost.
   */
  async revoke(id: bigint, options: CallOptions = {}): Promise<ResponseHeader> {
    checkId(id, 'id');
    const request = methods.leaseRevoke.request.create({ id });
    const response = await this.#calls.unary(methods.leaseRevoke, request, options, 'always');
    return resultHeader(response.header);
  }

  /** Renews the lease periodically until the returned keeper is closed or the lease is lost. */
  keepAlive(id: bigint, options: KeepAliveOptions = {}): LeaseKeeper {
    checkId(id, 'id');
    return this.#keepAlives.keep(id, options);
  }

  /** Renews the lease once. LEASE_NOT_FOUND if there is no such lease. */
  async keepAliveOnce(id: bigint, options: CallOptions = {}): Promise<KeepAliveResponse> {
    checkId(id, 'id');
    const method = methods.leaseKeepAlive;
    const request = method.request.create({ id });
    // A stream of one request and one response is, on the wire, a unary call.
    const response = await this.#calls.unary(method, request, options, 'always');
    if (response.ttl <= 0) throw new EtcdError('LEASE_NOT_FOUND');
    return printed({ header: resultHeader(response.header), id: response.id, ttl: response.ttl });
  }

  async timeToLive(
    id: bigint,
    options: { readonly keys?: boolean | undefined } & CallOptions = {},
  ): Promise<LeaseTimeToLiveResult> {
    checkId(id, 'id');
    checkFlags(options, ['keys']);
    const request = methods.leaseTimeToLive.request.create({ id, keys: options.keys ?? false });
    const response = await this.#calls.unary(methods.leaseTimeToLive, request, options, 'always');
    return printed({
      header: resultHeader(response.header),
      id: response.id,
      ttl: response.ttl,
      grantedTtl: response.grantedTTL,
      keys: response.keys,
    });
  }

  async list(options: CallOptions = {}): Promise<LeaseListResult> {
    const method = methods.leaseLeases;
    const response = await this.#calls.unary(method, method.request.create(), options, 'always');
    return printed({
      header: resultHeader(response.header),
      leases: response.leases.map(({ id }) => id),
    });
  }

  /** Called by `Client.close`. */
  close(): void {
    this.#keepAlives.close();
  }
}
