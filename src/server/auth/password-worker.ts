// The thread that computes bcrypt: a file of its own in every bundle, beside the one that starts it.

import { parentPort } from 'node:worker_threads';
import { type PasswordJob, runPasswordJob } from './bcrypt.ts';

parentPort?.on('message', (job: PasswordJob) => {
  parentPort?.postMessage(runPasswordJob(job));
});
