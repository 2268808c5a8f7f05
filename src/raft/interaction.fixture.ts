// The command language of interaction scripts: groups of nodes driven step by step.

import { bytesFromUtf8, fail, InvariantError, seededRandom } from '../base/index.ts';
import { parseChanges } from './confchange/parse.fixture.ts';
import type { Case } from './datadriven.fixture.ts';
import {
  type AnyConfChange,
  type Config,
  describeEntries,
  describeMessage,
  describeProgressMap,
  describeReady,
  isLocalTarget,
  isVoter,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  LOG_GAPS,
  type Message,
  type NodeId,
  newMessage,
  READ_ONLY_MODES,
  STEP_RESULTS,
  STORAGE_OUTCOMES,
  type StepResult,
} from './index.ts';
import { firstSnapshot, ScriptNode } from './interaction-node.fixture.ts';
import { Output } from './interaction-output.fixture.ts';
import { ConfChangeTransition, MessageType } from './raftpb.ts';

const ELECTION_TICKS = 3;
const HEARTBEAT_TICKS = 1;

/** What a script reports as its command's failure. */
class ScriptError extends Error {}

export class Interaction {
  readonly #nodes: ScriptNode[] = [];
  readonly #output = new Output();
  readonly #random = seededRandom(1);
  /** Under way between nodes, and responses of storage threads. */
  #messages: Message[] = [];

  /** Runs one command and returns what it printed, `ok` if nothing. */
  run(c: Case): string {
    const output = this.#output;
    output.clear();
    try {
      this.#dispatch(c);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      if (output.quiet) return error.message;
      output.write(error.message);
    }
    return output.text === '' ? 'ok' : output.text;
  }

  #dispatch(c: Case): void {
    const run = this.#commands[c.command];
    if (run === undefined) throw new ScriptError('unknown command');
    run(c);
  }

  readonly #commands: Readonly<Record<string, (c: Case) => void>> = {
    'add-nodes': (c) => this.#addNodes(c),
    campaign: (c) => this.#check(this.#first(c).raw.campaign()),
    compact: (c) => {
      const outcome = this.#first(c).storage.compact(Number(c.args[1]?.key));
      if (outcome !== STORAGE_OUTCOMES.DONE) throw new ScriptError(outcome);
      this.#raftLog(this.#first(c));
    },
    'deliver-msgs': (c) => this.#deliverCommand(c),
    'process-ready': (c) =>
      this.#eachListed(c, 'handling Ready', (node) => this.#processReady(node)),
    'process-append-thread': (c) =>
      this.#eachListed(c, 'processing append thread', (node) =>
        this.#processThread(node, LOCAL_APPEND_THREAD),
      ),
    'process-apply-thread': (c) =>
      this.#eachListed(c, 'processing apply thread', (node) =>
        this.#processThread(node, LOCAL_APPLY_THREAD),
      ),
    'log-level': (c) => this.#output.setLevel(c.args[0]?.key ?? ''),
    'raft-log': (c) => this.#raftLog(this.#first(c)),
    'raft-state': () => this.#raftState(),
    'set-randomized-election-timeout': (c) =>
      this.#first(c).raw.setRandomizedElectionTimeout(Number(value(c, 'timeout'))),
    stabilize: (c) => this.#stabilizeCommand(c),
    status: (c) => this.#output.write(describeProgressMap(this.#first(c).raw.status().progress)),
    'tick-election': (c) => tickTimes(this.#first(c), ELECTION_TICKS),
    'tick-heartbeat': (c) => tickTimes(this.#first(c), HEARTBEAT_TICKS),
    'transfer-leadership': (c) =>
      this.#node(BigInt(value(c, 'from'))).raw.transferLeader(BigInt(value(c, 'to'))),
    'forget-leader': (c) => this.#first(c).raw.forgetLeader(),
    'send-snapshot': (c) => this.#sendSnapshot(c),
    propose: (c) => this.#check(this.#first(c).raw.propose(bytesFromUtf8(c.args[1]?.key ?? ''))),
    'propose-conf-change': (c) => this.#proposeConfChange(c),
    'report-unreachable': (c) => {
      const [on, about] = this.#listed(c);
      if (on === undefined || about === undefined) throw new ScriptError('two nodes are needed');
      on.raw.reportUnreachable(about.id);
    },
  };

  #addNodes(c: Case): void {
    const text = (key: string): string | undefined => option(c, key)?.[0];
    const flag = (key: string): boolean => text(key) === 'true';
    const readOnly = text('read-only');
    const { snapshot, bootstrap } = firstSnapshot({
      index: Number(text('index') ?? 0),
      voters: (option(c, 'voters') ?? []).map(BigInt),
      learners: (option(c, 'learners') ?? []).map(BigInt),
      data: bytesFromUtf8(text('content') ?? ''),
    });
    const template: Omit<Config, 'storage' | 'id'> = {
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      random: this.#random,
      logger: this.#output,
      applied: Number(text('index') ?? 0),
      messageBytesMax: Number.POSITIVE_INFINITY,
      applyingBytesMax: Number(text('max-committed-size-per-ready') ?? 0),
      inflightMessagesMax: Number(text('inflight') ?? 0x7fff_ffff),
      asyncStorageWrites: flag('async-storage-writes'),
      preVote: flag('prevote'),
      checkQuorum: flag('checkquorum'),
      disableConfChangeValidation: flag('disable-conf-change-validation'),
      stepDownOnRemoval: flag('step-down-on-removal'),
      readOnlyMode: readOnly === 'lease-based' ? READ_ONLY_MODES.LEASE_BASED : READ_ONLY_MODES.SAFE,
    };
    for (let count = Number(c.args[0]?.key); count > 0; count--) {
      const id = BigInt(this.#nodes.length + 1);
      this.#nodes.push(new ScriptNode({ ...template, id }, snapshot, bootstrap));
    }
  }

  #deliverCommand(c: Case): void {
    const typeName = option(c, 'type')?.[0];
    const type =
      typeName === undefined ? undefined : MessageType[typeName as keyof typeof MessageType];
    const deliver = c.args.filter(({ values }) => values.length === 0).map(({ key }) => key);
    let count = 0;
    for (const id of deliver) count += this.#deliver({ to: BigInt(id), type, drop: false });
    for (const id of option(c, 'drop') ?? []) {
      count += this.#deliver({ to: BigInt(id), type, drop: true });
    }
    if (count === 0) this.#output.write('no messages\n');
  }

  /** Delivers or drops what is under way to a node; returns how many messages. */
  #deliver(which: { to: NodeId; type?: number | undefined; drop: boolean }): number {
    const chosen = this.#messages.filter((message) => matches(message, which));
    this.#messages = this.#messages.filter((message) => !matches(message, which));
    for (const message of chosen) {
      if (which.drop) this.#output.write('dropped: ');
      this.#output.write(`${describeMessage(message)}\n`);
      if (which.drop) continue;
      const result = this.#node(which.to).raw.step(message);
      if (result !== STEP_RESULTS.OK) this.#output.write(`${result}\n`);
    }
    return chosen.length;
  }

  #processReady(node: ScriptNode): void {
    const ready = node.raw.ready();
    const async = node.config.asyncStorageWrites === true;
    this.#output.write(describeReady(ready));
    if (!async) {
      node.processAppend({
        entries: [...ready.entries],
        ...(ready.hardState === undefined ? {} : { hardState: ready.hardState }),
        ...(ready.snapshot === undefined ? {} : { snapshot: ready.snapshot }),
      });
      node.processApply(ready.committedEntries);
    }
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) node.appendWork.push(message);
      else if (message.to === LOCAL_APPLY_THREAD) node.applyWork.push(message);
      else this.#messages.push(message);
    }
    if (!async) node.raw.advance();
  }

  #processThread(node: ScriptNode, thread: NodeId): void {
    this.#messages.push(...node.processThread(thread, this.#output));
  }

  #raftLog(node: ScriptNode): void {
    const { storage } = node;
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) {
      this.#output.write(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    const entries = storage.entries(first, last + 1, Number.POSITIVE_INFINITY);
    if (entries === LOG_GAPS.COMPACTED || entries === LOG_GAPS.UNAVAILABLE) {
      fail('a storage holds what is between its first and last index');
    }
    this.#output.write(describeEntries(entries));
  }

  #raftState(): void {
    for (const node of this.#nodes) {
      const { id, role, config, term, lead } = node.raw.status();
      const voter = isVoter(config, id) ? '(Voter)' : '(Non-Voter)';
      this.#output.write(`${id}: ${role} ${voter} Term:${term} Lead:${lead}\n`);
    }
  }

  #stabilizeCommand(c: Case): void {
    const { level } = this.#output;
    const wanted = option(c, 'log-level')?.[0];
    if (wanted !== undefined) this.#output.setLevel(wanted);
    try {
      const listed = this.#listed(c);
      this.#stabilize(listed.length > 0 ? listed : this.#nodes);
    } finally {
      this.#output.level = level;
    }
  }

  /** Everything that the nodes have to do, until there is nothing left. */
  #stabilize(nodes: readonly ScriptNode[]): void {
    const act = (node: ScriptNode, what: string, work: () => void): void => {
      busy = true;
      this.#output.write(`> ${node.id} ${what}\n`);
      work();
    };
    let busy = true;
    while (busy) {
      busy = false;
      for (const node of nodes) {
        if (!node.raw.hasReady()) continue;
        act(node, 'handling Ready', () => this.#indented(() => this.#processReady(node)));
      }
      for (const node of nodes) {
        const which = { to: node.id, drop: false };
        if (!this.#messages.some((message) => matches(message, which))) continue;
        act(node, 'receiving messages', () => this.#indented(() => this.#deliver(which)));
      }
      for (const thread of [LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD]) {
        const name = thread === LOCAL_APPEND_THREAD ? 'append' : 'apply';
        for (const node of nodes) {
          const work = thread === LOCAL_APPEND_THREAD ? node.appendWork : node.applyWork;
          if (work.length === 0) continue;
          act(node, `processing ${name} thread`, () => {
            while (work.length > 0) this.#indented(() => this.#processThread(node, thread));
          });
        }
      }
    }
  }

  #sendSnapshot(c: Case): void {
    const [from, to] = this.#listed(c);
    if (from === undefined || to === undefined) throw new ScriptError('two nodes are needed');
    const message = newMessage(MessageType.MsgSnap, to.id);
    message.from = from.id;
    message.term = from.raw.basicStatus().term;
    message.snapshot = from.newestSnapshot();
    this.#messages.push(message);
    this.#output.write(describeMessage(message));
  }

  #proposeConfChange(c: Case): void {
    const transitions: Readonly<Record<string, number>> = {
      auto: ConfChangeTransition.ConfChangeTransitionAuto,
      implicit: ConfChangeTransition.ConfChangeTransitionJointImplicit,
      explicit: ConfChangeTransition.ConfChangeTransitionJointExplicit,
    };
    const wanted = option(c, 'transition')?.[0] ?? 'auto';
    const transition = transitions[wanted];
    if (transition === undefined) throw new ScriptError(`unknown transition ${wanted}`);
    const changes = parseChanges(c.input);
    const context = new Uint8Array(0);
    let change: AnyConfChange = { transition, changes, context };
    if (/^(true|t|1)$/i.test(option(c, 'v1')?.[0] ?? 'false')) {
      const [only] = changes;
      if (only === undefined || changes.length > 1 || wanted !== 'auto') {
        throw new ScriptError('v1 conf change can only have one operation and no transition');
      }
      change = { id: 0n, type: only.type, nodeId: only.nodeId, context };
    }
    this.#check(this.#first(c).raw.proposeConfChange(change));
  }

  #eachListed(c: Case, what: string, work: (node: ScriptNode) => void): void {
    const nodes = this.#listed(c);
    for (const node of nodes) {
      if (nodes.length === 1) {
        work(node);
      } else {
        this.#output.write(`> ${node.id} ${what}\n`);
        this.#indented(() => work(node));
      }
    }
  }

  #indented(work: () => void): void {
    this.#output.indented(work);
  }

  #check(result: StepResult): void {
    if (result !== STEP_RESULTS.OK) throw new ScriptError(result);
  }

  #node(id: NodeId): ScriptNode {
    return this.#nodes[Number(id) - 1] ?? fail(`no node ${id} in this script`);
  }

  #first(c: Case): ScriptNode {
    return this.#node(BigInt(c.args[0]?.key ?? 0));
  }

  /** The nodes named by arguments without values. */
  #listed(c: Case): ScriptNode[] {
    return c.args
      .filter(({ values }) => values.length === 0)
      .map(({ key }) => this.#node(BigInt(key)));
  }
}

function matches(
  message: Message,
  which: { to: NodeId; type?: number | undefined; drop: boolean },
): boolean {
  if (message.to !== which.to) return false;
  if (which.type !== undefined && message.type !== which.type) return false;
  // What a node and its storage threads tell each other is never lost.
  const local =
    message.from === message.to || isLocalTarget(message.from) || isLocalTarget(message.to);
  return !(which.drop && local);
}

function tickTimes(node: ScriptNode, ticks: number): void {
  for (let i = 0; i < ticks; i++) node.raw.tick();
}

function option(c: Case, key: string): readonly string[] | undefined {
  return c.args.find((arg) => arg.key === key && arg.values.length > 0)?.values;
}

function value(c: Case, key: string): string {
  return option(c, key)?.[0] ?? fail(`${c.command} needs ${key}=`);
}
