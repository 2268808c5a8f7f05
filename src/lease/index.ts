export type { Lease } from './lease.ts';
export {
  type LeaseRefusal,
  type LeaseRow,
  Lessor,
} from './lessor.ts';
