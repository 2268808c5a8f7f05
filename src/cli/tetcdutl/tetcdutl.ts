#!/usr/bin/env node
// The command `tetcdutl`. Modules are loaded as the command line needs them.

import { VERSION_TEXT } from './release.ts';

const argv = process.argv.slice(2);
if (argv.length === 1 && argv[0] === 'version') process.stdout.write(VERSION_TEXT);
else void import('./run-tetcdutl.ts').then(({ run }) => run(argv));
