// Looks into members of the simulation for what raft's promises are about: every entry that a state
// machine begins to apply, and which process it belongs to. The classes are wrapped once; what runs
// outside a simulated env is left alone.

import { crc32c } from '../src/base/index.ts';
import { SimEnv } from '../src/env/sim/index.ts';
import type { raftpb } from '../src/protocol/index.ts';
import { Backend, StateMachine } from '../src/store/index.ts';
import type { RaftObservation } from './check/raft-safety.ts';

/** Told of what happens on the machines of one world. */
export interface Observer {
  readonly onRaft: (observation: RaftObservation) => void;
  /** A member begins to apply an entry to this machine. */
  readonly onApply: (member: string, machine: StateMachine, entry: raftpb.Entry) => void;
}

const observers = new WeakMap<object, Observer>();
const environments = new WeakMap<Backend, SimEnv>();
/** Machines whose first entry has been seen. */
const begun = new WeakSet<StateMachine>();
let wrapped = false;

/** Registers `observer` for the members of this world. */
export function observeWorld(world: object, observer: Observer): void {
  observers.set(world, observer);
  if (wrapped) return;
  wrapped = true;
  const { open } = Backend;
  Backend.open = async (...args) => {
    const backend = await open.apply(Backend, args);
    const [env] = args;
    if (env instanceof SimEnv) environments.set(backend, env);
    return backend;
  };
  const { begin } = StateMachine.prototype;
  StateMachine.prototype.begin = function (this: StateMachine, entry: raftpb.Entry): boolean {
    observe(this, entry);
    return begin.call(this, entry);
  };
}

function observe(machine: StateMachine, entry: raftpb.Entry): void {
  const env = environments.get(machine.backend);
  const observer = env === undefined ? undefined : observers.get(env.world);
  if (env === undefined || observer === undefined) return;
  const member = env.name;
  if (!begun.has(machine)) {
    begun.add(machine);
    observer.onRaft({ kind: 'started', member });
  }
  const { index, term, type, data } = entry;
  // Complete, since entries are applied one after the other.
  observer.onRaft({ kind: 'state', member, index: index - 1, hash: machine.kv.currentRev });
  observer.onRaft({ kind: 'committed', member, index, term, hash: crc32c(type, data) });
  observer.onApply(member, machine, entry);
}
