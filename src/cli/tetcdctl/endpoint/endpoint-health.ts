// `tetcdctl endpoint health`: checks each member by a linearizable read.

import type { Command } from 'commander';
import { goDuration } from '../../../base/index.ts';
import { type Client, isEtcdError } from '../../../client/index.ts';
import { errorText } from '../../shell/error-text.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import type { CommandTree } from '../command.ts';
import type { EndpointHealth } from '../printers/printer.ts';
import { alarmName } from '../printers/simple.ts';
import type { Session } from '../session.ts';
import { type EndpointOptions, endpointsToAsk } from './endpoint-list.ts';

/** Any key: only the response counts. */
const PROBE_KEY = 'health';

export function addEndpointHealth(parent: Command, tree: CommandTree): void {
  tree.add<EndpointOptions>(parent, {
    name: 'health',
    usage: '[options]',
    summary: 'try whether each endpoint can serve',
    run: async ({ options, sessionOfEndpoints: open }) => {
      const session = await open();
      const endpoints = await endpointsToAsk(session, options);
      const list = await Promise.all(endpoints.map((endpoint) => healthOf(session, endpoint)));
      session.printer.endpointHealth(list);
      if (list.some(({ error }) => error !== '')) {
        throw new ExitError(EXIT.ERROR, 'unhealthy cluster');
      }
    },
  });
}

async function healthOf(session: Session, endpoint: string): Promise<EndpointHealth> {
  const { io } = session;
  let client: Client;
  try {
    client = await session.clientOf([endpoint]);
  } catch (error) {
    return { endpoint, health: false, took: '', error: errorText(error) };
  }
  const startNs = io.monotonicNs();
  const probeError = await probe(client, session);
  const took = goDuration(io.monotonicNs() - startNs);
  const error = probeError === '' ? await alarmsOf(client, session) : probeError;
  client.close();
  return { endpoint, health: error === '', took, error };
}

async function probe(client: Client, session: Session): Promise<string> {
  try {
    await client.kv.get(PROBE_KEY, session.limits);
    return '';
  } catch (error) {
    session.noteFailure(error);
    // A refused permission needed the same quorum as a response.
    return isEtcdError(error, 'PERMISSION_DENIED') ? '' : errorText(error);
  }
}

async function alarmsOf(client: Client, { limits }: Session): Promise<string> {
  try {
    const { alarms } = await client.maintenance.alarms(limits);
    if (alarms.length === 0) return '';
    const names = alarms.map(({ alarm }) =>
      alarm === 1 || alarm === 2 ? alarmName(alarm) : 'UNKNOWN',
    );
    return `Active Alarm(s): ${names.map((name) => `${name} `).join('')}`;
  } catch {
    return 'Unable to fetch the alarm list';
  }
}
