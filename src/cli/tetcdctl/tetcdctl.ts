#!/usr/bin/env node
// The command `tetcdctl`. Modules are loaded as the command line needs them; `version`, which scripts call
// often, needs none.

import { VERSION_TEXT } from './release.ts';

const argv = process.argv.slice(2);
if (argv.length === 1 && argv[0] === 'version') process.stdout.write(VERSION_TEXT);
else void import('./main.ts').then(({ main }) => main(argv));
