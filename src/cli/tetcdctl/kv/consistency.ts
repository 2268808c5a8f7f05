// The values of `--consistency`.

import { goQuote } from '../../../base/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';

export function isSerializable(consistency: string): boolean {
  if (consistency === 's') return true;
  if (consistency === 'l') return false;
  throw new ExitError(EXIT.BAD_FEATURE, `unknown consistency flag ${goQuote(consistency)}`);
}
