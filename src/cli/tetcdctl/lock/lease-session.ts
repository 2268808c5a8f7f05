// A lease that is kept alive while a command runs; revoked at its end, with the keys attached to it.

import { type Client, isEtcdError } from '../../../client/index.ts';

/** As etcd's sessions, which a time of no sense leaves as they are. */
const DEFAULT_TTL_SECONDS = 60;

export class LeaseSession {
  readonly client: Client;
  readonly lease: bigint;
  /** Resolves when the lease is lost. */
  readonly expired: Promise<void>;

  private constructor(client: Client, lease: bigint, expired: Promise<void>) {
    this.client = client;
    this.lease = lease;
    this.expired = expired;
  }

  /** `ttlSeconds` below 1 are 60. Waits for a server without a limit. */
  static async open(client: Client, ttlSeconds = DEFAULT_TTL_SECONDS): Promise<LeaseSession> {
    const ttl = ttlSeconds > 0 ? ttlSeconds : DEFAULT_TTL_SECONDS;
    const { id } = await client.lease.grant(ttl);
    const { lost } = client.lease.keepAlive(id);
    const expired = new Promise<void>((resolve) => {
      void lost.then((reason) => {
        if (reason !== undefined) resolve();
      });
    });
    return new LeaseSession(client, id, expired);
  }

  /**
   * Revokes the lease, unless it is lost before or meanwhile, as where no server answers. Its keys are
   * gone when this resolves.
   */
  async close(): Promise<void> {
    const revoked = this.client.lease.revoke(this.lease).catch((error: unknown) => {
      if (!isEtcdError(error, 'LEASE_NOT_FOUND')) throw error;
    });
    await Promise.race([this.expired, revoked]);
  }
}
