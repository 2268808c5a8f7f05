// One member of a cluster: start one with `Member.start`.

export * from './config/index.ts';
export { Member } from './member.ts';
export type { MemberOptions } from './member-options.ts';
export {
  asError,
  createLogger,
  type LogFields,
  type Logger,
  openOutputs,
} from './telemetry/log.ts';
export { logProcessTrouble } from './telemetry/log-process.ts';
