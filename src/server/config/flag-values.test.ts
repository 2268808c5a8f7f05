import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, need, sharedData } from '../../../test/helpers/real-etcd.ts';
import { FEATURE_GATE_NAMES, FEATURE_GATES } from './feature-gates.ts';
import { parseConfig } from './parse-config.ts';

const ABOUT = { packageVersion: '0.1.0', nodeVersion: 'v20.19.0', platform: 'linux', arch: 'x64' };

/** `run`, or what is said about why not. */
function outcomeOf(argv: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const parsed = parseConfig(argv, env, ABOUT);
  if (parsed.kind === 'print') return `${parsed.exitCode}: ${parsed.stderr.split('\n')[0]}`;
  if (parsed.kind === 'file') return `file ${parsed.path}`;
  return parsed.kind === 'run' ? 'run' : `1: ${parsed.notes.at(-1)!.fields['error']}`;
}

test.each([
  [['--auto-tls=maybe'], '2: invalid boolean value "maybe" for -auto-tls: parse error'],
  [
    ['--cors=x,*'],
    '2: invalid value "x,*" for flag -cors: URL scheme must be http, https, unix, or unixs: x',
  ],
  [['--cert-file'], '2: flag needs an argument: -cert-file'],
  [['--corrupt-check-time=5'], '2: invalid value "5" for flag -corrupt-check-time: parse error'],
  [['--bcrypt-cost=-1'], '2: invalid value "-1" for flag -bcrypt-cost: parse error'],
  [['--discovery-fallback=x'], '2: invalid value "x" for flag -discovery-fallback: invalid value'],
  [
    ['--discovery-fallback=proxy'],
    `1: v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`,
  ],
  [['--compact-hash-check-time=0s'], '1: --compact-hash-check-time must be >0 (set to 0s)'],
  [['--compact-hash-check-time=-90s'], '1: --compact-hash-check-time must be >0 (set to -1m30s)'],
  [['--corrupt-check-time=-1s'], '1: --corrupt-check-time must not be negative'],
  [['--corrupt-check-time=10m', '--feature-gates=InitialCorruptCheck=true'], 'run'],
  [['--compact-hash-check-time=5s', '--feature-gates=CompactHashCheck=true'], 'run'],
  [
    ['--experimental-corrupt-check-time=0s'],
    '2: flag provided but not defined: ' + '-experimental-corrupt-check-time',
  ],
  [['--enable-v2=false'], '2: flag provided but not defined: -enable-v2'],
] as const)('%j', (argv, outcome) => {
  expect(outcomeOf(argv)).toBe(outcome);
});

test('a flag and its variable at once are a conflict, of these flags too', () => {
  const parsed = parseConfig(['--memory-mlock=false'], { ETCD_MEMORY_MLOCK: 'false' }, ABOUT);
  expect(parsed).toMatchObject({ kind: 'fail', exitCode: 1 });
  const last = parsed.kind === 'fail' ? parsed.notes.at(-1) : undefined;
  expect(last).toMatchObject({
    level: 'fatal',
    fields: { 'environment-variable': 'ETCD_MEMORY_MLOCK' },
  });
});

test('a variable of a flag that etcd has removed is reported and changes nothing', () => {
  const parsed = parseConfig([], { ETCD_ENABLE_V2: 'true' }, ABOUT);
  expect(parsed.kind === 'run' && parsed.notes[0]).toMatchObject({
    msg: 'unrecognized environment variable',
    fields: { 'environment-variable': 'ETCD_ENABLE_V2=true' },
  });
});

test.each(FEATURE_GATE_NAMES)('the gate %s at its default, true and false', (name) => {
  const gates = (value: boolean): string => `--feature-gates=${name}=${value}`;
  expect(outcomeOf([gates(FEATURE_GATES[name].byDefault)])).toBe('run');
  expect(outcomeOf([gates(false)])).toBe('run');
  // The one that needs another.
  const needed = name === 'LeaseCheckpointPersist' ? ',LeaseCheckpoint=true' : '';
  expect(outcomeOf([`${gates(true)}${needed}`])).toBe('run');
  expect(outcomeOf([], { ETCD_FEATURE_GATES: `${name}=false` })).toBe('run');
});

test('groups of gates at what they are without being named', () => {
  expect(outcomeOf(['--feature-gates=AllAlpha=false,AllBeta=true'])).toBe('run');
  expect(outcomeOf(['--feature-gates=AllBeta=false'])).toBe('run');
  expect(outcomeOf(['--feature-gates='])).toBe('run');
});

interface FlagFact {
  readonly name: string;
  readonly type: string;
  readonly default: string | number | boolean;
  readonly env: string;
  readonly ignored?: boolean;
  readonly effective_default?: string | number;
}

const reference = sharedData('reference');
describeWith('beside the reference', [reference], () => {
  const { flags, removed_in_37: removed } = JSON.parse(
    readFileSync(join(need(reference), 'flags.json'), 'utf8'),
  ) as { flags: readonly FlagFact[]; removed_in_37: readonly { name: string }[] };

  // The version is printed, not run. An empty endpoint is refused, by etcd too.
  const EXCEPTIONS = ['version', 'discovery-endpoints'];
  // Asked for by a client address of one's own.
  const ALSO: Readonly<Record<string, string>> = {
    'listen-client-urls': '--advertise-client-urls=http://localhost:2379',
  };

  test.each(flags.map((fact) => [fact.name, fact] as const))(
    '--%s at its default',
    (name, fact) => {
      if (EXCEPTIONS.includes(name)) return;
      const texts = [fact.default, fact.effective_default].filter((text) => text !== undefined);
      for (const text of texts) {
        // A stage of v2 has no default that can be spelled out.
        if (name === 'v2-deprecation' && text === '') continue;
        // Units other than a byte, and names, are for people.
        const value = text === '<name>.etcd' ? 'default.etcd' : String(text);
        const also = ALSO[name] === undefined ? [] : [ALSO[name]];
        expect(outcomeOf([`--${name}=${value}`, ...also]), value).toBe('run');
        expect(outcomeOf(also, { [fact.env]: value }), value).toBe('run');
      }
    },
  );

  test.each(removed.map(({ name }) => name))('--%s, which 3.7 has removed', (name) => {
    expect(outcomeOf([`--${name}=false`])).toBe(`2: flag provided but not defined: -${name}`);
  });
});
