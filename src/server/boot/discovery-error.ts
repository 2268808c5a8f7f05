import { ERROR_CODES, TetcdError } from '../../base/index.ts';

/** A new member could not become one of the cluster that finds itself at `--discovery-endpoints`. */
export class DiscoveryError extends TetcdError {
  constructor(reason: Error) {
    const text = `failed to join discovery cluster (${reason.message})`;
    super(ERROR_CODES.INVALID_ARGUMENT, text, { cause: reason });
  }
}
