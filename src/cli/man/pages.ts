// The manuals of the three programs.

import { FLAG_GROUPS, FLAGS } from '../../server/index.ts';
import type { Io } from '../shell/io.ts';
import { proxyTree } from '../tetcd/proxy/command-tree.ts';
import { tetcdctlTree } from '../tetcdctl/program.ts';
import { tetcdutlTree } from '../tetcdutl/program.ts';
import { EXAMPLES } from './examples.ts';
import { commandsOf, type Manual, manualFlags, paragraphs, rootFlags } from './manual.ts';
import { markdownPage } from './markdown.ts';
import { roffPage } from './roff.ts';

const EXIT_CODES = `  1    the request failed, or what was checked is not so
  2    no connection, or the user was refused
  3    standard input makes no sense
  4    a value of a flag that is not supported
  5    interrupted: a watch that the server ended, a snapshot not saved
  128  wrong arguments`;

/** `io` is not used: the trees are only read. */
export function manualsOf(io: Io): Manual[] {
  return [tetcd(), tetcdctl(io), tetcdutl(io)];
}

function tetcd(): Manual {
  const flags = Object.entries(FLAG_GROUPS).map(([group, title]) => ({
    title: `${title} flags`,
    flags: Object.entries(FLAGS)
      .filter(([, flag]) => flag.group === group)
      .map(([name, flag]) => ({
        term: `--${name}`,
        help: `${flag.help}${flag.defaultText === '' ? '' : ` Default: ${flag.defaultText}`}`,
      })),
  }));
  const environment = `Every flag but --version can be given in the environment: ETCD_ and its
name in upper case, with underscores for dashes (ETCD_DATA_DIR). A flag given both ways is
refused.`;
  return {
    name: 'tetcd',
    summary: 'a member of an etcd cluster, or a proxy before one',
    synopsis: ['tetcd [flags]', 'tetcd gateway start [flags]', 'tetcd grpc-proxy start [flags]'],
    description: [
      `Runs a member, which serves the API of etcd 3.7 to clients and its peer protocol to other
members, real ones among them. It ends at SIGTERM and SIGINT.`,
      'With gateway or grpc-proxy as its first word it runs a proxy instead.',
    ],
    example: EXAMPLES.tetcd[''],
    commands: commandsOf(proxyTree(), EXAMPLES.tetcd),
    flags,
    sections: [{ title: 'Environment', text: [environment] }],
    seeAlso: ['tetcdctl', 'tetcdutl'],
  };
}

function tetcdctl(io: Io): Manual {
  const root = tetcdctlTree(io);
  const environment = `Every one of these flags can be given in the environment: ETCDCTL_ and its
name in upper case, with underscores for dashes (ETCDCTL_ENDPOINTS). The command line goes first.`;
  return {
    name: 'tetcdctl',
    summary: 'the client of an etcd cluster',
    synopsis: ['tetcdctl <command> [flags]'],
    description: [
      `Does what etcdctl 3.7 does, with its commands, flags, output and exit codes, at clusters of
tetcd and of etcd.`,
    ],
    commands: commandsOf(root, EXAMPLES.tetcdctl),
    flags: [{ title: 'Flags of every command', flags: manualFlags(rootFlags(root)) }],
    sections: [
      { title: 'Environment', text: [environment] },
      { title: 'Exit codes', text: paragraphs(EXIT_CODES) },
    ],
    seeAlso: ['tetcd', 'tetcdutl'],
  };
}

function tetcdutl(io: Io): Manual {
  const root = tetcdutlTree(io);
  return {
    name: 'tetcdutl',
    summary: 'works on the files of an etcd member that is stopped',
    synopsis: ['tetcdutl <command> [flags]'],
    description: [
      `Does what etcdutl 3.7 does, with its commands, flags, output and exit codes, on data
directories and snapshots of tetcd and of etcd, and more. A file that a member uses is waited for
up to the time of --timeout, and then refused.`,
    ],
    commands: commandsOf(root, EXAMPLES.tetcdutl),
    flags: [{ title: 'Flags of every command', flags: manualFlags(rootFlags(root)) }],
    sections: [],
    seeAlso: ['tetcd', 'tetcdctl'],
  };
}

/** The files that the package has for man(1): text by name. */
export function manPages(io: Io, version: string): Map<string, string> {
  return new Map(manualsOf(io).map((each) => [`${each.name}.1`, roffPage(each, version)]));
}

/** The pages in `docs/commands/`: text by name. */
export function commandPages(io: Io): Map<string, string> {
  return new Map(manualsOf(io).map((each) => [`${each.name}.md`, markdownPage(each)]));
}
