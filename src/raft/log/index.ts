export * from './entry-list.ts';
export * from './entry-size.ts';
export * from './memory-storage.ts';
export * from './raft-log.ts';
export * from './snapshot.ts';
export * from './storage.ts';
export * from './storage-latch.ts';
export * from './unstable.ts';
