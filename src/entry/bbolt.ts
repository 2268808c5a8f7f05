// `tetcd/bbolt`: files of bbolt, read and written.

export { ERROR_CODES, type ErrorCode, hasCode, TetcdError } from '../base/index.ts';
export * from '../bbolt/index.ts';
