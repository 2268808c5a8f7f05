import { fail } from '../../base/index.ts';
import { type Case, testEveryFile } from '../datadriven.fixture.ts';
import { describeConfiguration, Tracker } from '../tracker/index.ts';
import { changeSimply, enterJoint, leaveJoint } from './index.ts';
import { parseChanges } from './parse.fixture.ts';

testEveryFile('confchange', () => {
  const tracker = new Tracker({
    inflightCountMax: 10,
    inflightBytesMax: Number.POSITIVE_INFINITY,
  });
  // Grows with every case, so that the transcript shows when each member was added.
  let lastIndex = 0;
  return (c) => runCase(tracker, c, lastIndex++);
});

function runCase(tracker: Tracker, c: Case, lastIndex: number): string {
  const changes = parseChanges(c.input);
  const outcome = ((): ReturnType<typeof leaveJoint> => {
    switch (c.command) {
      case 'simple':
        return changeSimply(tracker.config, changes);
      case 'enter-joint': {
        const autoLeave = c.args.some(
          ({ key, values }) => key === 'autoleave' && values[0] === 'true',
        );
        return enterJoint(tracker.config, changes, autoLeave);
      }
      case 'leave-joint':
        if (changes.length > 0) return { ok: false, reason: 'this command takes no input' };
        return leaveJoint(tracker.config);
      default:
        return fail(`unknown command ${c.command}`);
    }
  })();
  if (!outcome.ok) return `${outcome.reason}\n`;
  tracker.adopt(outcome.config, outcome.kept, lastIndex);
  return `${describeConfiguration(tracker.config)}\n${tracker.describeProgress()}`;
}
