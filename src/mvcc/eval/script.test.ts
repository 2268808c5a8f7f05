import path from 'node:path';
import { testOwnFiles } from '../../raft/datadriven.fixture.ts';
import { ScriptWorld } from './script.fixture.ts';

testOwnFiles(path.join(import.meta.dirname, 'testdata'), () => {
  const world = new ScriptWorld();
  return (c) => world.run(c);
});
