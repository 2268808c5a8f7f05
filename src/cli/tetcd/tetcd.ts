#!/usr/bin/env node
// The command `tetcd`. Its signals first: a member's code takes a while to load. `--version`, which
// scripts run often, needs nothing more.

import { versionText } from '../../server/index.ts';
import { ABOUT } from './about.ts';
import { takeEarlySignals } from './early-signals.ts';
import { keepYoungSpaceSmall } from './young-space.ts';

/** First words that are not about a member. */
const PROXY_COMMANDS: ReadonlySet<string> = new Set(['gateway', 'grpc-proxy']);

const argv = process.argv.slice(2);
if (argv.length === 1 && argv[0] === '--version') process.stdout.write(versionText(ABOUT));
else {
  const receiveStopSignals = takeEarlySignals();
  if (PROXY_COMMANDS.has(argv[0] ?? '')) {
    // Before anything is loaded: the space for new objects does not shrink again.
    keepYoungSpaceSmall();
    void import('./proxy/run-proxy.ts').then(({ main }) => main(argv, receiveStopSignals));
  } else void import('./serve.ts').then(({ main }) => main(receiveStopSignals));
}
