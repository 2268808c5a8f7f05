#!/usr/bin/env node
// The command `tetcd`. Its signals first: a member's modules take a while to load.

import { takeEarlySignals } from './early-signals.ts';

takeEarlySignals();
const { main } = await import('./serve.ts');
await main();
