export * from './configuration.ts';
export * from './inflights.ts';
export * from './progress.ts';
export * from './tracker.ts';
