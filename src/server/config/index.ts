export { bootstrapProblem, mismatchText, ownInitialUrls } from './bootstrap-check.ts';
export type { Built } from './build.ts';
export { DEFAULT_QUOTA_BYTES } from './build.ts';
export type { FileValue } from './config-file.ts';
export type { ConfigOptions } from './config-options.ts';
export type { ServiceDiscovery, SrvDiscovery } from './discovery-config.ts';
export type { Environment } from './environment.ts';
export type { FeatureGateName, FeatureGates } from './feature-gates.ts';
export { DEFAULT_FEATURE_GATES, FEATURE_GATE_NAMES, FEATURE_GATES } from './feature-gates.ts';
export { FLAG_GROUPS } from './flag-types.ts';
export { FLAGS } from './flags.ts';
export { configFromOptions } from './from-options.ts';
export { parseInitialCluster } from './initial-cluster.ts';
export type { LogNote } from './log-note.ts';
export type { ConfigFromFile, ParsedConfig } from './parse-config.ts';
export { parseConfig, parseConfigFile } from './parse-config.ts';
export type {
  AuthConfig,
  EndpointTls,
  GrpcConfig,
  HttpAccessConfig,
  InitialMember,
  ListenUrl,
  LogConfig,
  LogFormat,
  LogLevel,
  ServerConfig,
  TracingConfig,
} from './server-config.ts';
export { electionTicks, JOURNAL_OUTPUT, LOG_FORMATS, LOG_LEVELS } from './server-config.ts';
export { parseUrls } from './urls.ts';
export { parseDurationMs } from './values.ts';
export type { About } from './version-text.ts';
export { versionText } from './version-text.ts';
