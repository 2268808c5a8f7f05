// The thread that computes bcrypt: a file of its own in every bundle, beside the one that starts it.

import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { type PasswordJob, runPasswordJob } from './bcrypt.ts';
import { PASSWORD_THREAD_PRIORITY } from './limits.ts';

// Where there are more threads than cores, the event loop with its heartbeats goes first. Linux gives
// the priority to the thread that asks; elsewhere it would be that of the process.
if (parentPort !== null && process.platform === 'linux') {
  try {
    setPriority(PASSWORD_THREAD_PRIORITY);
  } catch {
    // A sandbox that forbids it: slower, not wrong.
  }
}

parentPort?.on('message', (job: PasswordJob) => {
  parentPort?.postMessage(runPasswordJob(job));
});
