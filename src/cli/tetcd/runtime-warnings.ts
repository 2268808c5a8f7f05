// Settings of Node in the environment that make a server less safe than etcd. They take effect silently, so
// the log names them.

import { close, url } from 'node:inspector';
import type { Logger } from '../../server/index.ts';

interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Options of Node on the command line. */
  readonly execArgv: readonly string[];
}

interface Weakness {
  /** A variable, with Node's option if it holds one; or an option on the command line. */
  readonly setting: string;
  readonly effect: string;
}

const VARIABLES: readonly {
  readonly name: string;
  readonly weakens: (value: string) => boolean;
  readonly effect: string;
}[] = [
  {
    name: 'NODE_TLS_REJECT_UNAUTHORIZED',
    weakens: (value) => value === '0',
    effect: 'certificates of other members and clients are not verified',
  },
  {
    name: 'SSLKEYLOGFILE',
    weakens: (value) => value !== '',
    effect: 'keys of TLS connections may be written to that file',
  },
];

const INSPECTOR = /^--inspect\b/;
const OPTIONS: readonly { readonly pattern: RegExp; readonly effect: string }[] = [
  { pattern: INSPECTOR, effect: 'a debugger may control the process, without a password' },
  { pattern: /^--tls-keylog\b/, effect: 'keys of TLS connections are written to a file' },
  { pattern: /^--tls-min-v1\.[01]$/, effect: 'outdated versions of TLS are accepted' },
  { pattern: /^--insecure-http-parser$/, effect: 'malformed HTTP requests are accepted' },
];

function weaknessesOf({ env, execArgv }: Surroundings): Weakness[] {
  const found: Weakness[] = VARIABLES.filter(({ name, weakens }) => weakens(env[name] ?? '')).map(
    ({ name, effect }) => ({ setting: name, effect }),
  );
  const sources = [
    ['NODE_OPTIONS ', (env['NODE_OPTIONS'] ?? '').split(/\s+/)],
    ['', execArgv],
  ] as const;
  for (const [source, options] of sources) {
    for (const option of options.map(canonical)) {
      const known = OPTIONS.find(({ pattern }) => pattern.test(option));
      if (known !== undefined) found.push({ setting: source + option, effect: known.effect });
    }
  }
  return found;
}

/** Without quotes, and with dashes, which Node takes underscores for. */
function canonical(option: string): string {
  const [name, ...value] = option.replaceAll('"', '').split('=');
  return [name!.replaceAll('_', '-'), ...value].join('=');
}

export function logWeaknesses(log: Logger, surroundings: Surroundings): void {
  const found = weaknessesOf(surroundings);
  for (const { setting, effect } of found) {
    log.warn('the environment weakens this process', { setting, effect });
  }
  // A SIGUSR1 that came before this program could ignore it has opened the debugger.
  const isAsked = found.some(({ setting }) => INSPECTOR.test(setting.replace('NODE_OPTIONS ', '')));
  if (!isAsked && url() !== undefined) close();
}
