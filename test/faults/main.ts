// npm run faults -- [--members 3] [--seconds 60] [--seed 1] [--servers tetcd|3.5|mixed]
//                   [--faults 'kill,pause the leader'] [--history file]
//
// `mixed`: of ours and of real etcd 3.5, one of which takes over the directory after each kill. A
// history that breaks a promise is left in the temporary directory, or in the file that is named;
// there, any.

import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { historyToJson } from '../../sim/check/history.ts';
import { verify } from '../../src/base/index.ts';
import { FAULTS } from './faults.ts';
import { runFaults } from './run.ts';
import { SERVER_CHOICES, serversFor } from './servers.ts';

verify.all = true;
const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    servers: { type: 'string', default: 'tetcd' },
    faults: { type: 'string', default: FAULTS.join(',') },
    history: { type: 'string' },
  },
});

const choice = SERVER_CHOICES.find((one) => one === values.servers);
if (choice === undefined) throw new Error(`--servers: one of ${SERVER_CHOICES.join(', ')}`);
const names = values.faults.split(',');
const faults = FAULTS.filter((one) => names.includes(one));
if (faults.length !== names.length) throw new Error(`--faults: some of ${FAULTS.join(', ')}`);

const { members, seed, seconds, servers } = values;
const command =
  `npm run faults -- --members ${members} --seconds ${seconds} --seed ${seed} ` +
  `--servers ${servers}`;
console.info(`${command} repeats the choices`);
const report = await runFaults({
  ...serversFor(choice, Number(members)),
  ...{ seconds: Number(seconds), seed: Number(seed), command, faults },
  log: (line) => console.info(line),
});
console.info(
  `${report.faults} faults, ${report.operations} operations, ${report.acknowledged} answered, ` +
    `${report.revisions} revisions, ${report.watchEvents} watch events, ` +
    `${report.wrong.length} wrong`,
);
const path = values.history ?? join(tmpdir(), `faults-${seed}.json`);
if (report.wrong.length > 0 || values.history !== undefined) {
  writeFileSync(path, historyToJson(report.history));
}
if (report.wrong.length > 0) {
  console.error(report.logs);
  for (const line of report.wrong.slice(0, 20)) console.error(line);
  console.error(`the history is in ${path}`);
  process.exitCode = 1;
}
