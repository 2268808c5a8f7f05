// Feature gates: named switches for behaviour that is not (or no longer) the default for all. Names,
// stages and defaults are etcd 3.7's.

import { parseBool } from './values.ts';

export const FEATURE_GATE_NAMES = [
  'StopGRPCServiceOnDefrag',
  'InitialCorruptCheck',
  'CompactHashCheck',
  'TxnModeWriteWithSharedBuffer',
  'LeaseCheckpoint',
  'LeaseCheckpointPersist',
  'SetMemberLocalAddr',
  'FastLeaseKeepAlive',
  'PriorityRequest',
] as const;

/** A feature gate of etcd 3.7. */
export type FeatureGateName = (typeof FEATURE_GATE_NAMES)[number];

export interface FeatureGates {
  /** Whether the gate is open, by default or because it was set. */
  readonly enabled: Readonly<Record<FeatureGateName, boolean>>;
  /** What was set, as etcd prints it: `Name=bool` sorted by name and joined with commas. */
  readonly text: string;
}

interface GateSpec {
  readonly stage: 'ALPHA' | 'BETA';
  readonly byDefault: boolean;
}

const ALPHA_OFF: GateSpec = { stage: 'ALPHA', byDefault: false };
const BETA_ON: GateSpec = { stage: 'BETA', byDefault: true };

export const FEATURE_GATES: Readonly<Record<FeatureGateName, GateSpec>> = {
  StopGRPCServiceOnDefrag: ALPHA_OFF,
  InitialCorruptCheck: ALPHA_OFF,
  CompactHashCheck: ALPHA_OFF,
  TxnModeWriteWithSharedBuffer: BETA_ON,
  LeaseCheckpoint: ALPHA_OFF,
  LeaseCheckpointPersist: ALPHA_OFF,
  SetMemberLocalAddr: ALPHA_OFF,
  FastLeaseKeepAlive: BETA_ON,
  PriorityRequest: ALPHA_OFF,
};

/** Gates that stand for all of a stage; they move only gates that were not set by name. */
const GROUP_STAGES = { AllAlpha: 'ALPHA', AllBeta: 'BETA' } as const;
type GroupName = keyof typeof GROUP_STAGES;

function isGroup(name: string): name is GroupName {
  return Object.hasOwn(GROUP_STAGES, name);
}

function isGate(name: string): name is FeatureGateName {
  return Object.hasOwn(FEATURE_GATES, name);
}

export const DEFAULT_FEATURE_GATES: FeatureGates = gatesFrom(new Map());

/**
 * Reads `Name=bool[,Name=bool...]`; empty parts are skipped, a repeated name keeps its last value.
 * Returns the reason as a string if the text is not understood.
 */
export function parseFeatureGates(text: string): FeatureGates | string {
  const given = new Map<string, boolean>();
  for (const part of text.split(',')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = (at < 0 ? part : part.slice(0, at)).trim();
    if (at < 0) return `missing bool value for ${name}`;
    const value = part.slice(at + 1).trim();
    const parsed = parseBool(value);
    if (parsed === undefined) {
      const quoted = JSON.stringify(value);
      return (
        `invalid value of ${name}=${value}, err: strconv.ParseBool: parsing ` +
        `${quoted}: invalid syntax`
      );
    }
    given.set(name, parsed);
  }
  for (const name of given.keys()) {
    if (!isGate(name) && !isGroup(name)) return `unrecognized feature gate: ${name}`;
  }
  return gatesFrom(given);
}

function gatesFrom(given: ReadonlyMap<string, boolean>): FeatureGates {
  const set = new Map(given);
  for (const [group, value] of given) {
    if (!isGroup(group)) continue;
    for (const name of FEATURE_GATE_NAMES) {
      if (FEATURE_GATES[name].stage === GROUP_STAGES[group] && !set.has(name)) set.set(name, value);
    }
  }
  const state = (name: FeatureGateName): boolean => set.get(name) ?? FEATURE_GATES[name].byDefault;
  const entries = FEATURE_GATE_NAMES.map((name) => [name, state(name)] as const);
  const pairs = [...set].map(([name, value]) => `${name}=${value}`);
  return {
    enabled: Object.freeze(Object.fromEntries(entries)) as FeatureGates['enabled'],
    text: pairs.sort().join(','),
  };
}
