// Flags that name the member of a new cluster, and their rules, which are those of a first start.

import type { NewMember } from '../../offline/index.ts';
import type { PeerEnv } from '../../peer/index.ts';
import {
  bootstrapProblem,
  createLogger,
  mismatchText,
  ownInitialUrls,
  PeerUrlComparison,
  parseInitialCluster,
  parseUrls,
} from '../../server/index.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import { type Flag, stringFlag } from '../shell/flags.ts';

/** Values of the flags, by commander's names. */
export interface NewMemberOptions {
  readonly dataDir: string;
  readonly walDir: string;
  readonly name: string;
  readonly initialCluster: string;
  readonly initialClusterToken: string;
  readonly initialAdvertisePeerUrls: string;
}

const DEFAULT_NAME = 'default';
const DEFAULT_URL = 'http://localhost:2380';

/** `initialCluster`: without the flag; empty for the member alone, under its peer URLs. */
export function newMemberFlags(initialCluster = `${DEFAULT_NAME}=${DEFAULT_URL}`): Flag[] {
  return [
    stringFlag({ flag: '--data-dir', help: 'directory to make; default is the name with .etcd' }),
    stringFlag({ flag: '--wal-dir', help: 'directory to make for the log, if it is another one' }),
    stringFlag({ flag: '--name', help: 'name of this member', initial: DEFAULT_NAME }),
    stringFlag({
      flag: '--initial-cluster',
      help: 'members of the new cluster, as name=url with commas between',
      initial: initialCluster,
    }),
    stringFlag({
      flag: '--initial-cluster-token',
      help: 'what makes the ids of the new cluster different from those of others',
      initial: 'etcd-cluster',
    }),
    stringFlag({
      flag: '--initial-advertise-peer-urls',
      help: 'peer URLs of this member, as they are in --initial-cluster',
      initial: DEFAULT_URL,
    }),
  ];
}

/** ExitError, in etcd's words, for flags that contradict each other. */
export async function newMemberOf(env: PeerEnv, options: NewMemberOptions): Promise<NewMember> {
  const { name, walDir, initialClusterToken: token } = options;
  const peerUrls = mustParse(parseUrls(options.initialAdvertisePeerUrls));
  const founders = parseInitialCluster(options.initialCluster);
  if (typeof founders === 'string') refuse(founders);
  if (!founders.some((member) => member.name === name)) {
    refuse(`couldn't find local name ${JSON.stringify(name)} in the initial cluster configuration`);
  }
  const advertisePeerUrls = peerUrls.map(({ text }) => text);
  const config = { name, initialCluster: founders, advertisePeerUrls };
  const silent = createLogger({ level: 'error', format: 'json' }, { write() {} }, env.clock, '');
  const urls = new PeerUrlComparison(env, silent);
  const difference = await urls.difference(advertisePeerUrls, ownInitialUrls(config));
  if (difference !== undefined) refuse(mismatchText(config, difference));
  const problem = bootstrapProblem(config);
  if (problem !== undefined) refuse(problem);
  const dataDir = options.dataDir === '' ? `${name}.etcd` : options.dataDir;
  return { dataDir, walDir, name, founders, token };
}

function mustParse<Value>(parsed: { readonly value: Value } | { readonly reason: string }): Value {
  return 'reason' in parsed ? refuse(parsed.reason) : parsed.value;
}

function refuse(text: string): never {
  throw new ExitError(EXIT.ERROR, text);
}
