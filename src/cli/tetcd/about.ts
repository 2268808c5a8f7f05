// Versions of the program and of its platform.

import type { About } from '../../server/index.ts';

/** Put in by the bundler. */
declare const PACKAGE_VERSION: string;

export const ABOUT: About = {
  packageVersion: PACKAGE_VERSION,
  nodeVersion: process.version,
  platform: process.platform,
  arch: process.arch,
};
