// `tetcd`: a member inside a program.

export { ERROR_CODES, type ErrorCode, hasCode, TetcdError } from '../base/index.ts';
export { createMemoryDisk, type Env } from '../env/index.ts';
export type {
  ClosedReason,
  ConfigOptions,
  FeatureGateName,
  LogFormat,
  LogLevel,
  RunningMember,
  StartMemberOptions,
} from '../server/index.ts';
export { startMember } from '../server/index.ts';
