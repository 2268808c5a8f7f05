// npm run crash -- [--seconds 60] [--rounds 1000000] [--seed 1] [--servers tetcd] [-- flag …]
// npm run crash -- --sim [--seconds 60] [--seed 1] [--effect n] [--outcome n]
//   [--max-cluster-version X.Y]
//
// With several servers (`--servers tetcd,3.5 -- --max-cluster-version=3.5`) any of them takes the
// directory over after a crash; the flags after the second `--` are for tetcd.

import { parseArgs } from 'node:util';
import { realProgram, serverUnderTest } from '../helpers/member.ts';
import { need, realEtcd } from '../helpers/real-etcd.ts';
import { runCrashes, type Server } from './crash.ts';
import { runSimCrashes } from './sim.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    rounds: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    servers: { type: 'string', default: 'tetcd' },
    sim: { type: 'boolean', default: false },
    effect: { type: 'string' },
    outcome: { type: 'string' },
    'max-cluster-version': { type: 'string' },
  },
});

function serverOf(name: string): Server {
  if (name === 'tetcd') return { program: need(serverUnderTest()), flags: positionals };
  if (name === '3.4' || name === '3.5') return { program: realProgram(need(realEtcd(name))) };
  return { program: { name, release: '3.7', command: [name] }, flags: positionals };
}

async function crashSimulated(): Promise<readonly string[]> {
  const { effect, outcome, 'max-cluster-version': maxClusterVersion } = values;
  return await runSimCrashes({
    seed: Number(values.seed),
    seconds: Number(values.seconds),
    ...(effect === undefined ? {} : { effect: Number(effect) }),
    ...(outcome === undefined ? {} : { outcome: Number(outcome) }),
    ...(maxClusterVersion === undefined ? {} : { maxClusterVersion }),
    log: (line) => console.info(line),
  });
}

async function crashReal(): Promise<readonly string[]> {
  console.info(`seed ${values.seed}: npm run crash -- --seed ${values.seed} repeats the choices`);
  const [first, ...others] = values.servers.split(',').map(serverOf);
  const report = await runCrashes({
    servers: [first!, ...others],
    seed: Number(values.seed),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    log: (line) => console.info(line),
  });
  console.info(`${report.rounds} crashes, ${report.acknowledged} writes acknowledged`);
  return report.wrong;
}

const wrong = values.sim ? await crashSimulated() : await crashReal();
for (const line of wrong) console.error(line);
if (wrong.length > 0) process.exitCode = 1;
