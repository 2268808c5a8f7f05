// Is a history linearizable: is there an order of its operations that respects real time (what
// returned before another was called comes first) and that the model, one after the other, could
// have answered just so?
//
// The search is that of Wing and Gong with Lowe's improvements, as in Porcupine: calls and returns
// are entries of a linked list in the order of time; an operation may be next if its call lies before
// the first return left in the list; taking it lifts its entries out, and a return that is met
// without its operation taken means going back. Configurations (which operations are taken, and the
// state) that were seen before are not entered again.
//
// Beyond that:
// - An operation is optional if its outcome is unknown. It may be taken at any time after
//   its call, or never; the search is over when all others are taken. Optional ones lie in a list of
//   their own and are tried last.
// - A read that fits is taken for good: for any order with it later, there is one with it
//   now.

import { invariant } from '../../src/base/index.ts';

export interface Model<State, Op> {
  readonly initial: State;
  /**
   * The state after the operation; the same object if nothing changed. Undefined: in this state it
   * cannot have been answered as it was.
   */
  step(state: State, operation: Op): State | undefined;
  /** Whether the operation, answered as it was, changes no state that it fits. */
  isRead(operation: Op): boolean;
  equal(a: State, b: State): boolean;
  /** Equal states have equal hashes: any 32-bit integer. */
  hash(state: State): number;
}

export interface Timed<Op> {
  readonly operation: Op;
  /** Orders of the call and the return; all different. The return of an optional one has no meaning. */
  readonly call: number;
  readonly return: number;
  readonly optional?: boolean;
}

export interface SearchOptions {
  /** Model steps before the search gives up. */
  readonly stepsMax?: number;
}

export type Linearization<State, Op> =
  | {
      readonly kind: 'ok';
      readonly order: readonly Op[];
      readonly final: State;
      readonly steps: number;
    }
  | {
      readonly kind: 'illegal';
      /** The longest order found, the state after it, and what could have come next but did not fit. */
      readonly order: readonly Op[];
      readonly state: State;
      readonly blocked: readonly Op[];
      readonly steps: number;
    }
  | { readonly kind: 'unknown'; readonly steps: number };

const STEPS_MAX = 20_000_000;

interface Entry<Op> {
  readonly index: number;
  readonly operation: Op;
  readonly optional: boolean;
  readonly order: number;
  /** The return of this call; undefined for returns and optional calls. */
  match: Entry<Op> | undefined;
  readonly isReturn: boolean;
  prev: Entry<Op> | undefined;
  next: Entry<Op> | undefined;
}

/** Looks at histories that do not depend on each other, such as of different keys, one by one. */
export function checkPartitions<State, Op>(
  model: Model<State, Op>,
  partitions: readonly (readonly Timed<Op>[])[],
  options: SearchOptions = {},
): Linearization<State, Op>[] {
  return partitions.map((partition) => checkLinearizable(model, partition, options));
}

export function checkLinearizable<State, Op>(
  model: Model<State, Op>,
  operations: readonly Timed<Op>[],
  options: SearchOptions = {},
): Linearization<State, Op> {
  return new Search(model, operations, options.stepsMax ?? STEPS_MAX).run();
}

interface Taken<State, Op> {
  readonly entry: Entry<Op>;
  readonly before: State;
  /** A read: not to be taken back alone. */
  readonly forGood: boolean;
}

class Search<State, Op> {
  readonly #model: Model<State, Op>;
  readonly #stepsMax: number;
  readonly #required: Entry<Op>;
  readonly #optional: Entry<Op>;
  readonly #seen: SeenConfigurations<State>;
  readonly #takenSet: OperationSet;
  readonly #takenOptional: OperationSet;
  readonly #stack: Taken<State, Op>[] = [];
  #left: number;
  #state: State;
  #steps = 0;
  #deepest: { order: Op[]; state: State; blocked: Op[] } | undefined = undefined;
  #deepestLength = -1;

  constructor(model: Model<State, Op>, operations: readonly Timed<Op>[], stepsMax: number) {
    this.#model = model;
    this.#stepsMax = stepsMax;
    const required = operations.filter((each) => each.optional !== true);
    const optional = operations.filter((each) => each.optional === true);
    this.#required = listOf(required, false);
    this.#optional = listOf(optional, true);
    this.#takenSet = new OperationSet(required.length);
    this.#takenOptional = new OperationSet(optional.length);
    this.#left = required.length;
    this.#state = model.initial;
    this.#seen = new SeenConfigurations((a, b) => model.equal(a, b));
  }

  run(): Linearization<State, Op> {
    let entry = this.#required.next;
    while (this.#left > 0) {
      if (this.#steps > this.#stepsMax) return { kind: 'unknown', steps: this.#steps };
      if (entry !== undefined && !entry.isReturn) {
        entry = this.#take(entry) ? this.#required.next : this.#after(entry);
        continue;
      }
      this.#noteDeepest();
      entry = this.#goBack();
      if (entry === undefined && this.#exhausted) return this.#illegal();
    }
    const order = this.#stack.map((each) => each.entry.operation);
    return { kind: 'ok', order, final: this.#state, steps: this.#steps };
  }

  #exhausted = false;

  /** The next candidate after one that does not fit; a return or undefined if there is none. */
  #after(entry: Entry<Op>): Entry<Op> | undefined {
    const next = entry.next;
    if (entry.optional) return this.#callable(next) ? next : undefined;
    if (next !== undefined && !next.isReturn) return next;
    const first = this.#optional.next;
    return this.#callable(first) ? first : next;
  }

  /** Whether an optional operation was called before the first return that is left. */
  #callable(entry: Entry<Op> | undefined): boolean {
    if (entry === undefined) return false;
    let one = this.#required.next;
    while (one !== undefined && !one.isReturn) one = one.next;
    return one === undefined || entry.order < one.order;
  }

  #take(entry: Entry<Op>): boolean {
    this.#steps++;
    const before = this.#state;
    const after = this.#model.step(before, entry.operation);
    if (after === undefined) return false;
    // An optional operation without effect explains nothing.
    if (entry.optional && after === before) return false;
    const forGood = this.#model.isRead(entry.operation);
    invariant(!forGood || after === before, 'linearizability: a read changes the state');
    const set = entry.optional ? this.#takenOptional : this.#takenSet;
    set.flip(entry.index);
    if (!forGood && !this.#isNew(after)) {
      set.flip(entry.index);
      return false;
    }
    this.#stack.push({ entry, before, forGood });
    this.#state = after;
    if (!entry.optional) this.#left--;
    lift(entry);
    return true;
  }

  #isNew(state: State): boolean {
    const stateHash = Math.imul(this.#model.hash(state), 0x9e3779b1);
    const hash = this.#takenSet.hash ^ Math.imul(this.#takenOptional.hash, 31) ^ stateHash;
    return this.#seen.add(hash, this.#takenSet.snapshot(), this.#takenOptional.snapshot(), state);
  }

  /** Takes the newest operation back, and returns the candidate after it. */
  #goBack(): Entry<Op> | undefined {
    for (;;) {
      const taken = this.#stack.pop();
      if (taken === undefined) {
        this.#exhausted = true;
        return undefined;
      }
      const { entry, before, forGood } = taken;
      unlift(entry);
      (entry.optional ? this.#takenOptional : this.#takenSet).flip(entry.index);
      if (!entry.optional) this.#left++;
      this.#state = before;
      if (!forGood) return this.#after(entry);
    }
  }

  #noteDeepest(): void {
    if (this.#stack.length <= this.#deepestLength) return;
    this.#deepestLength = this.#stack.length;
    const blocked: Op[] = [];
    for (let one = this.#required.next; one !== undefined && !one.isReturn; one = one.next) {
      blocked.push(one.operation);
    }
    const order = this.#stack.map((each) => each.entry.operation);
    this.#deepest = { order, state: this.#state, blocked };
  }

  #illegal(): Linearization<State, Op> {
    const none = { order: [], state: this.#model.initial, blocked: [] };
    return { kind: 'illegal', ...(this.#deepest ?? none), steps: this.#steps };
  }
}

/** The head of the list, an entry of its own. */
function listOf<Op>(operations: readonly Timed<Op>[], optional: boolean): Entry<Op> {
  const sorted = [...operations].sort((a, b) => a.call - b.call);
  const none = { match: undefined, prev: undefined, next: undefined };
  const entries = sorted.flatMap((each, index): Entry<Op>[] => {
    const base = { index, operation: each.operation, optional, ...none };
    const call: Entry<Op> = { ...base, order: each.call, isReturn: false };
    if (optional || each.return === Number.POSITIVE_INFINITY) return [call];
    const end: Entry<Op> = { ...base, order: each.return, isReturn: true };
    call.match = end;
    return [call, end];
  });
  entries.sort((a, b) => a.order - b.order || Number(a.isReturn) - Number(b.isReturn));
  const operation = undefined as Op;
  const head: Entry<Op> = { index: -1, operation, optional, order: -1, isReturn: false, ...none };
  let last = head;
  for (const entry of entries) {
    entry.prev = last;
    last.next = entry;
    last = entry;
  }
  return head;
}

function lift<Op>(entry: Entry<Op>): void {
  unlink(entry);
  if (entry.match !== undefined) unlink(entry.match);
}

function unlift<Op>(entry: Entry<Op>): void {
  if (entry.match !== undefined) relink(entry.match);
  relink(entry);
}

function unlink<Op>(entry: Entry<Op>): void {
  entry.prev!.next = entry.next;
  if (entry.next !== undefined) entry.next.prev = entry.prev;
}

function relink<Op>(entry: Entry<Op>): void {
  entry.prev!.next = entry;
  if (entry.next !== undefined) entry.next.prev = entry;
}

/**
 * A set of operations by index. Operations are taken about in the order of their calls, so that all
 * words before `#low` are full and all from `#high` on empty: a snapshot is short.
 */
class OperationSet {
  readonly #words: Int32Array;
  #low = 0;
  #high = 0;
  hash = 0;

  constructor(size: number) {
    this.#words = new Int32Array((size >> 5) + 1);
  }

  flip(index: number): void {
    const word = index >> 5;
    this.#words[word] = this.#words[word]! ^ (1 << (index & 31));
    this.hash ^= mix(index + 1);
    if (word < this.#low) this.#low = word;
    if (word >= this.#high) this.#high = word + 1;
    while (this.#low < this.#high && this.#words[this.#low] === -1) this.#low++;
    while (this.#high > this.#low && this.#words[this.#high - 1] === 0) this.#high--;
  }

  snapshot(): Int32Array {
    const copy = new Int32Array(this.#high - this.#low + 1);
    copy[0] = this.#low;
    copy.set(this.#words.subarray(this.#low, this.#high), 1);
    return copy;
  }
}

function mix(value: number): number {
  let x = Math.imul(value, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 15), 0xc2b2ae35);
  return x ^ (x >>> 13);
}

interface Configuration<State> {
  readonly required: Int32Array;
  readonly optional: Int32Array;
  readonly state: State;
}

class SeenConfigurations<State> {
  readonly #byHash = new Map<number, Configuration<State>[]>();
  readonly #equal: (a: State, b: State) => boolean;

  constructor(equal: (a: State, b: State) => boolean) {
    this.#equal = equal;
  }

  /** False if it was there. */
  add(hash: number, required: Int32Array, optional: Int32Array, state: State): boolean {
    const others = this.#byHash.get(hash);
    if (others === undefined) {
      this.#byHash.set(hash, [{ required, optional, state }]);
      return true;
    }
    for (const other of others) {
      if (
        equalWords(other.required, required) &&
        equalWords(other.optional, optional) &&
        this.#equal(other.state, state)
      ) {
        return false;
      }
    }
    others.push({ required, optional, state });
    return true;
  }
}

function equalWords(a: Int32Array, b: Int32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
