// Where the thread that runs JavaScript spends its time, as V8's sampler sees it.

import type { CallFrame, Inspector } from './inspector.ts';
import { frameOf } from './inspector.ts';
import { type Frame, ProfileBuilder } from './profile-builder.ts';

/** As often as Go samples: 100 times a second. */
const INTERVAL_US = 10_000;
/** What V8 calls the time in which the thread waits for events. */
const IDLE = '(idle)';
const ROOT = '(root)';

/** A function at one place of the tree of calls. */
interface CpuNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
  /** Samples by line, counted from 1. */
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[];
}

interface CpuProfile {
  readonly nodes: readonly CpuNode[];
  /** Ids of nodes, and the microseconds from the sample before to each. */
  readonly samples?: readonly number[];
  readonly timeDeltas?: readonly number[];
}

/** Samples until `over` resolves. */
export async function takeCpuProfile(
  inspector: Inspector,
  over: () => Promise<void>,
): Promise<CpuProfile> {
  await inspector.post('Profiler.enable');
  try {
    await inspector.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
    await inspector.post('Profiler.start');
    await over();
    const { profile } = await inspector.post<{ profile: CpuProfile }>('Profiler.stop');
    return profile;
  } finally {
    await inspector.post('Profiler.disable');
  }
}

/** Without the time in which the thread was idle, as it used no CPU then. */
export function buildCpuProfile(profile: CpuProfile, program: string): ProfileBuilder {
  const builder = new ProfileBuilder({
    kinds: [
      { type: 'samples', unit: 'count' },
      { type: 'cpu', unit: 'nanoseconds' },
    ],
    period: { type: 'cpu', unit: 'nanoseconds', value: INTERVAL_US * 1000 },
    program,
  });
  const self = selfTimes(profile);
  const parents = parentsOf(profile.nodes);
  for (const node of profile.nodes) {
    const own = self.get(node.id);
    if (own === undefined || node.callFrame.functionName === IDLE) continue;
    const callers = callersOf(node, parents);
    for (const { line, share } of linesOf(node)) {
      const count = Math.round(own.count * share);
      const nanoseconds = Math.round(own.microseconds * share) * 1000;
      builder.add([frameOf(node.callFrame, line), ...callers], [count, nanoseconds]);
    }
  }
  return builder;
}

interface SelfTime {
  count: number;
  microseconds: number;
}

/** The time from a sample to the next one is that of what ran at the first. */
function selfTimes({ samples = [], timeDeltas = [] }: CpuProfile): Map<number, SelfTime> {
  const times = new Map<number, SelfTime>();
  for (const [i, id] of samples.entries()) {
    const own = times.get(id) ?? { count: 0, microseconds: 0 };
    own.count++;
    // V8 may tell samples out of order.
    own.microseconds += Math.max(0, timeDeltas[i + 1] ?? 0);
    times.set(id, own);
  }
  return times;
}

function parentsOf(nodes: readonly CpuNode[]): Map<number, CpuNode> {
  const parents = new Map<number, CpuNode>();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node);
  return parents;
}

function callersOf(node: CpuNode, parents: ReadonlyMap<number, CpuNode>): Frame[] {
  const callers: Frame[] = [];
  for (let at = parents.get(node.id); at !== undefined; at = parents.get(at.id)) {
    if (at.callFrame.functionName !== ROOT) callers.push(frameOf(at.callFrame));
  }
  return callers;
}

/** The lines that were sampled, with their part of the function's time. */
function linesOf({
  positionTicks = [],
}: CpuNode): readonly { line: number | undefined; share: number }[] {
  const all = positionTicks.reduce((sum, { ticks }) => sum + ticks, 0);
  if (all === 0) return [{ line: undefined, share: 1 }];
  return positionTicks.map(({ line, ticks }) => ({ line, share: ticks / all }));
}
