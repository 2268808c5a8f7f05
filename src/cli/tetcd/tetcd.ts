#!/usr/bin/env node
// The command `tetcd`. Its signals first: a member's code takes a while to load. `--version`, which
// scripts run often, needs nothing more.

import { versionText } from '../../server/index.ts';
import { ABOUT } from './about.ts';
import { takeEarlySignals } from './early-signals.ts';

const argv = process.argv.slice(2);
if (argv.length === 1 && argv[0] === '--version') process.stdout.write(versionText(ABOUT));
else {
  const receiveStopSignals = takeEarlySignals();
  void import('./serve.ts').then(({ main }) => main(receiveStopSignals));
}
