export type { FeatureGateName, FeatureGates } from './feature-gates.ts';
export { DEFAULT_FEATURE_GATES, FEATURE_GATES } from './feature-gates.ts';
export type {
  GrpcConfig,
  InitialMember,
  ListenUrl,
  LogConfig,
  LogFormat,
  LogLevel,
  ServerConfig,
} from './server-config.ts';
export { LOG_FORMATS, LOG_LEVELS } from './server-config.ts';
