export * from './key-range.ts';
export * from './revision.ts';
export * from './types.ts';
