// Assertions that stay on in production. An invariant that fails is our own mistake, never the
// caller's nor the environment's: the member must stop, since nothing it holds can be trusted.

/** Thrown by {@link invariant}, {@link fail} and {@link unreachable}; never caught in order to continue. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Asserts a fact. The text is constant, so that a passing check costs one branch and no string. */
export function invariant(holds: boolean, text: string): asserts holds {
  if (!holds) throw new InvariantError(text);
}

/** For the failing branch of a check that wants details in its text. */
export function fail(text: string): never {
  throw new InvariantError(text);
}

/** Ends a `switch` over a closed union: a new member of the union then fails to compile here. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${String(value)}`);
}

/**
 * Whether costly checks run too (whole-tree checks, naive recomputation). Programs and the test
 * set-up turn them on when the environment says `TETCD_VERIFY=all`.
 */
export const verify: { all: boolean } = { all: false };
