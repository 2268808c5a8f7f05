#!/usr/bin/env node
// The command `tetcdctl`.

import { argumentWords, createNodeIo } from './ctl/node-io.ts';
import { runTetcdctl } from './ctl/program.ts';

const io = createNodeIo();

// Whoever reads our output may stop reading: that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const code = await runTetcdctl(await argumentWords(process.argv.slice(2)), io);
await io.flush();
// A program that waits for input, or a connection that is closing, does not hold us up.
process.exit(code);
