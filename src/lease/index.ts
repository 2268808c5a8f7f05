export type { Lease } from './lease.ts';
export {
  type LeaseRefusal,
  type LeaseRest,
  type LeaseRow,
  Lessor,
  type Renewal,
} from './lessor.ts';
export {
  CHECKPOINT_BATCHES_PER_LOOK_MAX,
  EXPIRED_BATCH_MAX,
  EXPIRED_RETRY_MS,
  LEASE_TTL_SEC_MAX,
} from './limits.ts';
