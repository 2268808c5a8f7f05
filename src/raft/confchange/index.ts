export * from './change.ts';
export * from './conf-change.ts';
export * from './restore.ts';
