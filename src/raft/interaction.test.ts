import { testEveryFile } from './datadriven.fixture.ts';
import { Interaction } from './interaction.fixture.ts';

testEveryFile('interaction', () => {
  const interaction = new Interaction();
  return (c) => interaction.run(c);
});
