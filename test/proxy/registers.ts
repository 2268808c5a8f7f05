// A few keys as registers, for random requests through several addresses at once. The cluster's own history
// of the keys says in which order they were written; what clients saw must fit into it: each read at one
// revision, which is not before anything that had been answered when the read was asked for.

import type { Random } from '../../src/base/index.ts';
import type { ApiClient, Message } from '../helpers/api.ts';

const REGISTERS = ['r0', 'r1', 'r2'];

/** Values of all registers; undefined for a key that does not exist. */
export type RegisterStates = readonly (string | undefined)[];

/** What was answered. */
interface Answered {
  readonly text: string;
  /** Orders of the call and the return; all different. */
  readonly call: number;
  readonly return: number;
  /** Of the header: what was seen was so then, and what was written is so since. */
  readonly revision: number;
  /** Values that it saw, of some registers. */
  readonly seen: ReadonlyMap<number, string | undefined>;
}

interface Asked {
  readonly rpc: string;
  readonly request: Message;
  readonly text: string;
  /** What an answer shows; nothing of what only writes. */
  readonly seen: (answer: Message) => ReadonlyMap<number, string | undefined>;
}

const NOTHING: ReadonlyMap<number, string | undefined> = new Map();

function valueIn(answer: unknown): string | undefined {
  const [kv] = (answer as Message)['kvs'] as readonly Message[];
  return kv === undefined ? undefined : String(kv['value']);
}

function read(at: number): Asked {
  return {
    rpc: 'KV/Range',
    request: { key: REGISTERS[at]! },
    text: `get ${at}`,
    seen: (answer) => new Map([[at, valueIn(answer)]]),
  };
}

function put(at: number, value: string): Asked {
  const request = { key: REGISTERS[at]!, value };
  return { rpc: 'KV/Put', request, text: `put ${at}=${value}`, seen: () => NOTHING };
}

function remove(from: number, to: number): Asked {
  const range = to > from ? { range_end: `r${to}~` } : {};
  const request = { key: REGISTERS[from]!, ...range };
  return { rpc: 'KV/DeleteRange', request, text: `del ${from}..${to}`, seen: () => NOTHING };
}

/** If one register has the value, both are written; else both are read. */
function swap(at: number, other: number, expected: string, value: string): Asked {
  return {
    rpc: 'KV/Txn',
    request: {
      compare: [{ key: REGISTERS[at]!, target: 3, value: expected }],
      success: [at, other].map((each) => ({ request_put: { key: REGISTERS[each]!, value } })),
      failure: [at, other].map((each) => ({ request_range: { key: REGISTERS[each]! } })),
    },
    text: `swap ${at},${other} ${expected}->${value}`,
    seen: ({ succeeded, responses }) => {
      if (succeeded === true) return NOTHING;
      const [one, two] = responses as readonly Message[];
      return new Map([
        [at, valueIn(one!['response_range'])],
        [other, valueIn(two!['response_range'])],
      ]);
    },
  };
}

interface Worker {
  readonly name: string;
  readonly writes: boolean;
  /** Whether what it sees is checked, and not only what it writes. */
  readonly isChecked: boolean;
}

export class Registers {
  readonly history: Answered[] = [];
  /** Calls that failed: what they wrote, if anything, the history of the cluster knows. */
  failures = 0;
  readonly #random: Random;
  readonly #written: string[] = ['-'];
  #order = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Makes `count` requests, one after the other. */
  async work(client: ApiClient, count: number, worker: Worker): Promise<void> {
    for (let made = 0; made < count; made++) await this.#one(client, worker);
  }

  #any(writes: boolean): Asked {
    const random = this.#random;
    const at = random.below(REGISTERS.length);
    const kind = writes ? random.below(20) : 0;
    if (kind < 11) return read(at);
    const recent = this.#written.slice(-6);
    const expected = recent[random.below(recent.length)]!;
    const value = `${this.#written.length}`;
    this.#written.push(value);
    if (kind < 15) return put(at, value);
    if (kind < 16) return remove(at, at);
    if (kind < 17) return remove(0, REGISTERS.length - 1);
    return swap(at, (at + 1) % REGISTERS.length, expected, value);
  }

  async #one(client: ApiClient, { name, writes, isChecked }: Worker): Promise<void> {
    const { rpc, request, text, seen } = this.#any(writes);
    const call = ++this.#order;
    const { message: answer } = await client.call(rpc, request, { timeoutMs: 60_000 });
    if (answer === undefined) {
      this.failures++;
      return;
    }
    const found = seen(answer);
    if (found.size > 0 && !isChecked) return;
    this.history.push({
      text: `${name}: ${text} ${[...found.values()]}`,
      call,
      return: ++this.#order,
      revision: Number((answer['header'] as Message)['revision']),
      seen: found,
    });
  }
}

/** The registers as they were, by revision, from 0 to the newest one. */
export async function statesOf(direct: ApiClient): Promise<readonly RegisterStates[]> {
  const { header } = await direct.must('KV/Range', { key: REGISTERS[0]! });
  const last = Number((header as Message)['revision']);
  const stream = direct.stream('Watch/Watch');
  // The newest change is our own, so that the end is known.
  await direct.must('KV/Put', { key: 'r~', value: '' });
  stream.send({ create_request: { key: 'r', range_end: 's', start_revision: '1' } });
  const events = () => stream.received.flatMap(({ events: some }) => some as readonly Message[]);
  const revisionOf = ({ kv }: Message) => Number((kv as Message)['mod_revision']);
  await stream.until(() => events().some((event) => revisionOf(event) > last));
  stream.cancel();
  const states: RegisterStates[] = [REGISTERS.map(() => undefined)];
  for (const event of events()) {
    const { key, value } = event['kv'] as Message;
    const at = REGISTERS.indexOf(String(key));
    if (at < 0) continue;
    const revision = revisionOf(event);
    while (states.length <= revision) states.push(states.at(-1)!);
    const isDeleted = Number(event['type']) === 1 || event['type'] === 'DELETE';
    const next = [...states[revision]!];
    next[at] = isDeleted ? undefined : String(value);
    states[revision] = next;
  }
  while (states.length <= last) states.push(states.at(-1)!);
  return states;
}

/** The first answers that fit into no order, in words. */
export function misfits(history: readonly Answered[], states: readonly RegisterStates[]): string[] {
  const byReturn = history.toSorted((a, b) => a.return - b.return);
  /** Of answers in the order of their returns: the least revision at which each can have been. */
  const ends: { readonly return: number; readonly revision: number }[] = [];
  const wrong: string[] = [];
  for (const answered of byReturn) {
    let least = answered.revision;
    for (let at = ends.length - 1; at >= 0; at--) {
      const end = ends[at]!;
      if (end.return > answered.call) continue;
      least = Math.max(least, end.revision);
      break;
    }
    const fits = (state: RegisterStates): boolean =>
      [...answered.seen].every(([at, value]) => state[at] === value);
    const found =
      answered.seen.size === 0 ? least : states.findIndex((s, r) => r >= least && fits(s));
    if (found < 0) wrong.push(`${answered.text}: not so at revision ${least} or after it`);
    const revision = Math.max(found, ends.at(-1)?.revision ?? 0);
    ends.push({ return: answered.return, revision });
  }
  return wrong;
}
