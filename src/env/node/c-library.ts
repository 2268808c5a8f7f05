// Calls of the C library for which Node has none, through a package that is optional.

import { invariant } from '../../base/index.ts';

interface CLibrary {
  /** A function of integers, called in a thread. Rejects if the library has none of this name. */
  call(name: string, values: readonly number[]): Promise<CResult>;
}

interface CResult {
  readonly value: number;
  /** Text of `errno`, which means something if the value says so. */
  readonly errorText: string;
}

/** The library that the process itself is linked with. Rejects if the package cannot be loaded. */
export async function loadCLibrary(): Promise<CLibrary> {
  const { DataType: T, load, open } = await import('ffi-rs');
  const library = 'c';
  open({ library, path: '' });
  return {
    async call(funcName, values) {
      const result = await load({
        ...{ library, funcName, paramsValue: [...values] },
        paramsType: values.map(() => T.I64),
        retType: T.I64,
        errno: true,
        runInNewThread: true,
      });
      invariant(typeof result === 'object', 'asked for, the error number comes with the value');
      return { value: result.value, errorText: result.errnoMessage };
    },
  };
}
