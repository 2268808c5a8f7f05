#!/usr/bin/env node
// The command `tetcd`. Its signals first: a member's modules take a while to load.

import { useCompileCache } from '../shell/compile-cache.ts';
import { takeEarlySignals } from './early-signals.ts';

takeEarlySignals();
useCompileCache();
const { main } = await import('./serve.ts');
await main();
