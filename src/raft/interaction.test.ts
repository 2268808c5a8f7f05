// Whole groups driven step by step, with every log line and message: the shared scripts, and ours
// in testdata/ in the same language.

import path from 'node:path';
import { testEveryFile, testOwnFiles } from './datadriven.fixture.ts';
import { Interaction } from './interaction.fixture.ts';

const begin = (): Interaction['run'] => {
  const interaction = new Interaction();
  return (c) => interaction.run(c);
};

testEveryFile('interaction', begin);
testOwnFiles(path.join(import.meta.dirname, 'testdata'), begin);
