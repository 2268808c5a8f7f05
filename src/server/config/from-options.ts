// A checked configuration from a program's options: each becomes the text of its flag, so that one
// set of rules holds for both. Refusals name the option as the caller wrote it.

import { ERROR_CODES, goQuote, TetcdError } from '../../base/index.ts';
import { type Built, buildConfig } from './build.ts';
import { FlagCollector } from './command-line.ts';
import type { ConfigOptions } from './config-options.ts';
import type { Flag } from './flag-types.ts';
import { FLAGS, type FlagName, isFlagName } from './flags.ts';
import { advertiseProblem, parseUrls } from './urls.ts';

/** Flags of the command alone, or without effect. */
const NO_OPTION = [
  'backend-bbolt-freelist-type',
  'config-file',
  'discovery-fallback',
  'version',
  'logger',
  'socket-reuse-address',
  'v2-deprecation',
] as const;

type CamelCase<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;
type OptionName = CamelCase<Exclude<FlagName, (typeof NO_OPTION)[number]>>;
type Same<A, B> = [Exclude<A, B> | Exclude<B, A>] extends [never] ? true : never;
/** Does not compile when a flag has no option, or an option no flag. */
const OPTIONS_ARE_FLAGS: Same<OptionName, keyof ConfigOptions> = true;

/** Throws INVALID_ARGUMENT, which names the option; what it was given stays as it is. */
export function configFromOptions(options: ConfigOptions): Built {
  const collector = new FlagCollector();
  for (const [option, value] of Object.entries(withFollowing(options))) {
    if (value !== undefined) take(collector, option, value);
  }
  const built = buildConfig(collector.values(), collector.given);
  if (typeof built === 'string') throw invalid(inOptionNames(built));
  return built;
}

/**
 * With what other options decide when they are not given: where a member listens, others reach it,
 * and the cluster is this member alone.
 */
function withFollowing(options: ConfigOptions): ConfigOptions {
  const { listenClientUrls, listenPeerUrls, name = FLAGS.name.byDefault } = options;
  const clients = options.advertiseClientUrls ?? reachable(listenClientUrls);
  const peers = options.initialAdvertisePeerUrls ?? reachable(listenPeerUrls);
  const isFound = options.discoverySrv !== undefined || options.discoveryEndpoints !== undefined;
  const cluster =
    Array.isArray(peers) && !isFound ? peers.map((url) => `${name}=${url}`).join(',') : undefined;
  return {
    ...options,
    advertiseClientUrls: clients,
    initialAdvertisePeerUrls: peers,
    initialCluster: options.initialCluster ?? cluster,
  };
}

const EVERYWHERE: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** URLs to listen on that others can use as well; undefined if one of them names no host. */
function reachable(urls: unknown): readonly string[] | undefined {
  if (!isTexts(urls)) return undefined; // refused as the option that it is
  const parsed = parseUrls(urls.join(','));
  if ('reason' in parsed || advertiseProblem(parsed.value) !== undefined) return undefined;
  return parsed.value.some(({ host }) => EVERYWHERE.has(host)) ? undefined : urls;
}

function take(collector: FlagCollector, option: string, value: unknown): void {
  const name = flagOf(option);
  if (name === undefined) throw invalid(`unknown option ${option}`);
  const reason = collector.set(name, textOf(option, FLAGS[name], value));
  if (reason === undefined) return;
  throw invalid(`invalid value ${shown(value)} for option ${option}: ${reason}`);
}

/** The flag's name; undefined if there is no such option. */
function flagOf(option: string): FlagName | undefined {
  if (!/^[a-z][a-zA-Z\d]*$/.test(option)) return undefined;
  const name = option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const isOption = isFlagName(name) && !NO_OPTION.some((without) => without === name);
  return isOption ? name : undefined;
}

/** The value as the text of its flag. */
function textOf(option: string, flag: Flag<unknown>, value: unknown): string {
  const wanted = (what: string): TetcdError =>
    invalid(`option ${option} must be ${what}, not ${shown(value)}`);
  const { byDefault } = flag;
  if (Array.isArray(byDefault)) {
    if (!isTexts(value)) throw wanted('an array of strings');
    if (value.some((text) => text.includes(',')))
      throw wanted('an array of strings without commas');
    if (value.length === 0 && byDefault.length > 0) throw wanted('an array that is not empty');
    return value.join(',');
  }
  switch (typeof byDefault) {
    case 'boolean':
      if (typeof value !== 'boolean') throw wanted('true or false');
      return String(value);
    case 'number':
      if (typeof value !== 'number') throw wanted('a number');
      return flag.isDuration === true ? `${value}ms` : String(value);
    case 'object':
      if (!isGates(value)) throw wanted('an object of names with true or false');
      return Object.entries(value)
        .filter(([, isOpen]) => isOpen !== undefined)
        .map(([gate, isOpen]) => `${gate}=${isOpen}`)
        .join(',');
    default:
      if (typeof value !== 'string') throw wanted('a string');
      return value;
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function isGates(value: unknown): value is Readonly<Record<string, boolean | undefined>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((each) => each === undefined || typeof each === 'boolean');
}

/** The flags in a text by the names of their options. */
function inOptionNames(text: string): string {
  return text.replace(/--([a-z\d-]+)/g, (flag, name: string) =>
    isFlagName(name)
      ? name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
      : flag,
  );
}

function shown(value: unknown): string {
  if (typeof value === 'string') return goQuote(value);
  return Array.isArray(value) ? `[${value.map(shown).join(', ')}]` : String(value);
}

function invalid(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
}

void OPTIONS_ARE_FLAGS;
