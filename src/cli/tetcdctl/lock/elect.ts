// `tetcdctl elect`: is a candidate until a signal, or shows who leads.

import type { Command } from 'commander';
import {
  type Client,
  etcdserverpb,
  type KeyValue,
  type ResponseHeader,
} from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag } from '../../shell/flags.ts';
import { bytesOfWord, type Word } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import type { Session } from '../session.ts';
import { LeaseSession } from './lease-session.ts';
import { aborted } from './stop.ts';
import { prefixOf, Turn } from './turn.ts';

interface ElectOptions {
  readonly listen: boolean;
}

const DESCRIPTION = `With a proposal, waits until it is the leader of the election, prints its key
and the proposal, and leads until it is interrupted. With -l, prints the leader's key and proposal,
and those of each leader and proposal that follow.`;

export function addElect(parent: Command, tree: CommandTree): void {
  tree.add<ElectOptions>(parent, {
    name: 'elect',
    usage: '<election-name> [proposal]',
    summary: 'take part in an election, or watch it',
    description: DESCRIPTION,
    group: GROUPS.CONCURRENCY,
    flags: [boolFlag({ flag: '-l, --listen', help: 'show who leads' })],
    run: async ({ io, words, options: { listen }, session: open }) => {
      const [name, proposal] = words;
      if (name === undefined || words.length > 2) {
        const text = 'elect takes one election name argument and an optional proposal argument';
        throw new ExitError(EXIT.BAD_ARGS, text);
      }
      if (proposal === undefined && !listen) {
        throw new ExitError(EXIT.BAD_ARGS, 'no proposal argument but -l not set');
      }
      if (proposal !== undefined && listen) {
        throw new ExitError(EXIT.BAD_ARGS, 'proposal given but -l is set');
      }
      const session = await open();
      if (proposal === undefined) await observe(session, name, io.stopSignal());
      else await campaign(session, name, proposal, io.stopSignal());
    },
  });
}

async function campaign(
  session: Session,
  name: Word,
  proposal: Word,
  stop: AbortSignal,
): Promise<void> {
  const { client, printer, ask } = session;
  const held = await ask(LeaseSession.open(client));
  const turn = new Turn(held, name);
  try {
    const isLeader = await ask(turn.wait(bytesOfWord(proposal), stop));
    if (!isLeader) throw new ExitError(EXIT.ERROR, 'elect: session expired');
    const { range } = etcdserverpb.KVService.methods;
    const call = client.call(range, { key: turn.key }, { signal: stop, repeatable: true });
    printer.get(await ask(call), false);
    const ending = await Promise.race([aborted(stop), held.expired.then(() => 'expired' as const)]);
    if (ending === 'expired') throw new ExitError(EXIT.ERROR, 'elect: session expired');
  } finally {
    await ask(held.close());
  }
}

async function observe({ client, printer }: Session, name: Word, stop: AbortSignal): Promise<void> {
  try {
    for (;;) {
      for await (const { header, kv } of leaderships(client, prefixOf(name), stop)) {
        printer.get({ header, kvs: [kv], count: 0, more: false }, false);
      }
    }
  } catch {
    if (!stop.aborted) throw new ExitError(EXIT.ERROR, 'elect: observer lost');
  }
}

interface Leadership {
  readonly header: ResponseHeader;
  readonly kv: KeyValue;
}

/** The leader and each of its proposals, until it leads no more. */
async function* leaderships(
  client: Client,
  prefix: Uint8Array,
  signal: AbortSignal,
): AsyncGenerator<Leadership, void, undefined> {
  const first = { prefix: true, sortBy: 'createRevision', limit: 1, signal } as const;
  const { header, kv } = await client.kv.get(prefix, first);
  const leader: Leadership =
    kv === undefined ? await firstPut(client, prefix, header.revision + 1, signal) : { header, kv };
  yield leader;
  const startRevision = leader.header.revision + 1;
  const watch = client.watch(leader.kv.key, { startRevision, signal });
  for await (const response of watch.responses()) {
    for (const event of response.events) {
      if (event.type === 'delete') return;
      yield { header: response.header, kv: event.kv };
    }
  }
}

async function firstPut(
  client: Client,
  prefix: Uint8Array,
  startRevision: number,
  signal: AbortSignal,
): Promise<Leadership> {
  const watch = client.watch(prefix, {
    prefix: true,
    startRevision,
    filters: ['noDelete'],
    signal,
  });
  for await (const { header, events } of watch.responses()) {
    const [event] = events;
    // The response may hold later revisions too.
    if (event !== undefined) {
      return { header: { ...header, revision: event.kv.modRevision }, kv: event.kv };
    }
  }
  throw new Error('the watch has ended');
}
