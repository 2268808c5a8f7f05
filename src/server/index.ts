// One member of a cluster: `startMember` for programs, `Member.start` for the command and tests.

export { DiscoveryError } from './boot/discovery-error.ts';
export { PeerUrlComparison } from './boot/peer-url-comparison.ts';
export * from './config/index.ts';
export { openProcessProfiles } from './debug/open-pages.ts';
export type { ClosedReason, RunningMember } from './embed/running-member.ts';
export { type StartMemberOptions, startMember } from './embed/start-member.ts';
export { Member } from './member.ts';
export { memberLocalAddress } from './ports/local-address.ts';
export { asError, createLogger, type Logger } from './telemetry/log.ts';
export { openOutputs } from './telemetry/log-outputs.ts';
export { logProcessTrouble } from './telemetry/log-process.ts';
export { generatedCertificate } from './tls/generated-certificate.ts';
export { loadMemberTls } from './tls/member-tls.ts';
