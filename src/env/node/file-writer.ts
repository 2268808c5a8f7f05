// The thread of one log file: a file of its own in every bundle, beside the one that starts it. It
// makes the system calls on the file, waits in shared memory for bytes, and does not return to its
// event loop before its end.

import { parentPort, workerData } from 'node:worker_threads';
import { createNodeClock } from './clock.ts';
import { FileMailbox, OWNERS } from './file-mailbox.ts';
import { type LogFileSpec, openLogFile } from './log-file.ts';

/** What the thread is started with. */
export interface FileWriterStart {
  readonly memory: SharedArrayBuffer;
  readonly spec: LogFileSpec;
}

/** What it tells: that the memory is free, or what went wrong with former files. */
export type FileWriterNews = { readonly kind: 'room' } | { readonly kind: 'trouble'; error: Error };

/** Pause before a write that failed is tried again. */
const FAILED_RETRY_MS = 1000;

function tell(news: FileWriterNews): void {
  parentPort?.postMessage(news);
}

function run({ memory, spec }: FileWriterStart): void {
  const mailbox = new FileMailbox(memory);
  if (!mailbox.claim(OWNERS.THREAD)) return;
  const file = openLogFile(spec, createNodeClock(), (error) => {
    tell({ kind: 'trouble', error: error instanceof Error ? error : new Error(String(error)) });
  });
  for (;;) {
    const pokes = mailbox.pokes;
    const lines = mailbox.waiting();
    if (lines.length > 0) {
      try {
        if (mailbox.advance(file.write(lines))) tell({ kind: 'room' });
      } catch {
        mailbox.acceptFailure();
        if (mailbox.isStopping) break;
        mailbox.waitForWork(pokes, FAILED_RETRY_MS);
      }
    } else if (mailbox.isStopping) break;
    else if (!file.tidy()) mailbox.waitForWork(pokes);
  }
  file.close();
  mailbox.acceptEnd();
}

run(workerData as FileWriterStart);
