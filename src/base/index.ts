export * from './bytes.ts';
export * from './crc32c.ts';
export * from './errors.ts';
export * from './invariant.ts';
export * from './metrics.ts';
export * from './random.ts';
export * from './units.ts';
export * from './varint.ts';
