export * from './id-set.ts';
export * from './joint.ts';
export * from './majority.ts';
