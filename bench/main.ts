// npm run bench -- [--cluster | --tls | --official] [--servers tetcd,3.5,3.7]
//                  [--cases put,range-one] [--rounds 3]
//                  [--small] [--directory kept-between-runs] [--json file]
//                  [--base revision] [--record release] [--unbound]
//
// Needs two idle cores: the server, or all three members of the cluster, get one, the loader the
// other, unless they are left unbound.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Program, realProgram, serverUnderTest } from '../test/helpers/member.ts';
import { need, officialLoader, realEtcd } from '../test/helpers/real-etcd.ts';
import { buildBase } from './base.ts';
import { runBench } from './bench.ts';
import { CANONICAL, CASES, SMALL } from './cases.ts';
import { CLUSTER_CASES } from './cluster-cases.ts';
import { record } from './history.ts';
import { OFFICIAL_CASES } from './official-cases.ts';
import { table } from './report.ts';
import { leaveUnbound, PreparedDirectories } from './servers.ts';
import { TLS_CASES } from './tls-cases.ts';

const { values } = parseArgs({
  options: {
    cluster: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
    official: { type: 'boolean', default: false },
    servers: { type: 'string' },
    cases: { type: 'string', default: '' },
    rounds: { type: 'string', default: '3' },
    small: { type: 'boolean', default: false },
    directory: { type: 'string' },
    json: { type: 'string', default: 'bench-result.json' },
    base: { type: 'string' },
    record: { type: 'string' },
    unbound: { type: 'boolean', default: false },
  },
});

function programOf(name: string): Program {
  if (name === 'tetcd') return need(serverUnderTest());
  if (name === '3.4' || name === '3.5' || name === '3.7') return realProgram(need(realEtcd(name)));
  throw new Error(`--servers: ${name} is none of tetcd, 3.4, 3.5 and 3.7`);
}

function casesOf(names: string) {
  const chosen = [
    ...(values.cluster ? [CLUSTER_CASES] : []),
    ...(values.tls ? [TLS_CASES] : []),
    ...(values.official ? [OFFICIAL_CASES] : []),
  ];
  if (chosen.length > 1) throw new Error('--cluster, --tls and --official exclude each other');
  const cases = chosen[0] ?? CASES;
  if (names === '') return cases;
  return names.split(',').map((name) => {
    const found = cases.find((one) => one.name === name);
    if (found === undefined)
      throw new Error(`--cases: ${name} is none of ${cases.map((one) => one.name).join(', ')}`);
    return found;
  });
}

if (values.unbound) leaveUnbound();
const kept = values.directory;
const root = kept ?? mkdtempSync(join(tmpdir(), 'tetcd-bench-'));
const base = values.base === undefined ? undefined : await buildBase(values.base);
// etcd's load generator is of the release 3.7.
const servers = values.servers ?? (values.official ? 'tetcd,3.7' : 'tetcd,3.4,3.5');
const [ours, ...others] = servers.split(',').map(programOf);
if (values.official) need(officialLoader());
try {
  const report = await runBench({
    programs: [ours!, ...(base === undefined ? [] : [base.program]), ...others],
    cases: casesOf(values.cases),
    rounds: Number(values.rounds),
    sizes: values.small ? SMALL : CANONICAL,
    directories: new PreparedDirectories(root),
    log: (line) => console.info(line),
  });
  console.info(`\n${report.machine}, Node ${report.node}, medians of ${report.rounds} rounds\n`);
  console.info(table(report.cases));
  writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  if (values.record !== undefined) {
    await record(values.record, new Date().toISOString().slice(0, 10), report);
  }
} finally {
  base?.remove();
  if (kept === undefined) rmSync(root, { recursive: true, force: true });
}
