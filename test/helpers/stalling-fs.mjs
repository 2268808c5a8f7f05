// Loaded into a Node.js program (`node --import`) or one of its threads: a disk that does not answer.
// Calls of the file system on files in a directory with a named pipe `.stalled.<call>`
// (`.stalled.any`: whatever the call) wait in the operating system, as on a real one, until the pipe
// is opened for writing. See stalled-disk.ts.

import { createRequire, syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const fs = require('node:fs');
const threads = require('node:worker_threads');

const CALLS = ['write', 'open', 'rename', 'stat', 'fstat', 'rm', 'readdir', 'mkdir', 'read'];
const { existsSync, openSync, closeSync, readlinkSync } = fs;

function pathOf(target) {
  try {
    return typeof target === 'number' ? readlinkSync(`/proc/self/fd/${target}`) : String(target);
  } catch {
    return '';
  }
}

function wait(call, path) {
  const directory = call === 'readdir' || call === 'mkdir' ? path : dirname(path);
  for (const name of [call, 'any']) {
    const gate = join(directory, `.stalled.${name}`);
    if (!existsSync(gate)) continue;
    try {
      closeSync(openSync(gate, 'r'));
    } catch {
      // Opened and removed meanwhile.
    }
  }
}

for (const call of CALLS) {
  const name = `${call}Sync`;
  const original = fs[name];
  fs[name] = (target, ...rest) => {
    wait(call, pathOf(target));
    return original(target, ...rest);
  };
}

// Threads of the program have no options of their own.
const { Worker } = threads;
threads.Worker = class extends Worker {
  constructor(file, options = {}) {
    super(file, {
      ...options,
      execArgv: [...(options.execArgv ?? []), '--import', import.meta.url],
    });
  }
};
syncBuiltinESMExports();
