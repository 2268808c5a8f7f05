// What is measured over TLS: requests with client certificates, handshakes, idle connections, and storms
// of logins and handshakes against a cluster of three. Only the clients' side is encrypted.

import type { Cluster } from '../test/cluster/cluster.ts';
import type { Program } from '../test/helpers/member.ts';
import {
  type Case,
  type Context,
  type Measurement,
  runUnaryCase,
  runWatchCase,
  type UnaryShape,
} from './cases.ts';
import { countElections, withCluster } from './cluster-cases.ts';
import type { Target } from './loader/target.ts';
import { LOADER, OTHERS, type Security, security, targetOf } from './security.ts';
import { load, MeasuredServer } from './servers.ts';

/** Made when a case first needs them. */
const mutual = once(() => security({ mutual: true }));
const mutualWithUsers = once(() => security({ mutual: true, users: true }));
const mutualRsa = once(() => security({ mutual: true, keyType: 'rsa-2048' }));
const serverOnly = once(() => security({ mutual: false }));

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Above it, the loader is what limits the rate of handshakes. */
const HANDSHAKES_AT_A_TIME = 32;

async function withServer<T>(
  secure: Security,
  program: Program,
  { directories, sizes }: Context,
  body: (server: MeasuredServer) => Promise<T>,
): Promise<T> {
  const directory = directories.copy(await directories.get(program, sizes.keysFew, 0));
  const server = await MeasuredServer.start(program, directory, { tls: secure.files });
  try {
    return await body(server);
  } finally {
    await server.stop();
    directories.remove(directory);
  }
}

function runHandshakes(secure: Security, program: Program, context: Context): Promise<Measurement> {
  return withServer(secure, program, context, async ({ endpoint, pid }) => {
    const { warmUpMs, measureMs } = context.sizes;
    const result = await load({
      ...{ kind: 'handshakes', endpoint, tls: secure.client, pids: [pid], warmUpMs, measureMs },
      connectionsAtATime: HANDSHAKES_AT_A_TIME,
    });
    const { handshakes, latency } = result;
    return {
      cpuUsPerRequest: result.serverCpuUs / handshakes,
      loaderUsPerRequest: result.loaderCpuUs / handshakes,
      requestsPerSecond: handshakes / result.seconds,
      p50Ms: latency.p50Ms,
      p99Ms: latency.p99Ms,
      failed: result.failed,
    };
  });
}

function runIdle(secure: Security, program: Program, context: Context): Promise<Measurement> {
  return withServer(secure, program, context, async ({ endpoint, pid }) => {
    const { idle, quietMs } = context.sizes;
    const result = await load({
      ...{ kind: 'idle', endpoint, tls: secure.client, pid, connections: idle, quietMs },
    });
    return { rssMiB: result.rssAfterMiB, kibPerConnection: Math.max(0, result.kibPerConnection) };
  });
}

/** What goes on beside the puts. */
type Storm = (target: Target, context: Context) => Promise<unknown>;

const logins =
  (users: readonly { readonly name: string; readonly password: string }[]): Storm =>
  ({ endpoint, tls }, { sizes }) =>
    load({
      ...{ kind: 'logins', endpoint, tls, users, perSecond: sizes.logins, forMs: sizes.stormMs },
    });

const guessesFor = (names: readonly string[]) =>
  names.map((name) => ({ name, password: `a guess at that of ${name}` }));

const UNKNOWN = Array.from({ length: 500 }, (_, i) => `nobody-${i}`);

const STORM_HANDSHAKES_AT_A_TIME = 200;

const handshakes: Storm = ({ endpoint, tls }, { sizes }) =>
  load({
    ...{ kind: 'handshakes', endpoint, tls, pids: [], warmUpMs: 0, measureMs: sizes.stormMs },
    connectionsAtATime: STORM_HANDSHAKES_AT_A_TIME,
  });

/** The latency of puts at the leader while a storm goes on there, which must stay the leader. */
function runStorm(secure: Security, storm: Storm, program: Program, context: Context) {
  const { keysFew: keys, stormMs } = context.sizes;
  const server = { program, tls: secure };
  return withCluster(server, [], async (cluster: Cluster) => {
    const { result, elections } = await countElections(cluster, async ({ endpoint }) => {
      const target = await targetOf(endpoint, secure);
      const puts = load({
        ...{ kind: 'stall', operation: 'none', keys, quietMs: stormMs / 2, ...target },
        putsPerSecond: STORM_PUTS_PER_SECOND,
      });
      const [measured] = await Promise.all([puts, storm(target, context)]);
      return measured;
    });
    const { p50Ms, p99Ms, maxMs } = result.latency;
    return { p50Ms, p99Ms, maxMs, failed: result.failedPuts, elections };
  });
}

const STORM_PUTS_PER_SECOND = 200;

type Goal = Case['goal'];
const cpu: Goal = { field: 'cpuUsPerRequest', ratio: 2 };

function one(name: string, title: string, goal: Goal, run: Case['run']): Case {
  return { name, title, run, ...(goal === undefined ? {} : { goal }) };
}

function unary(name: string, title: string, shape: UnaryShape, secure = mutual): Case {
  return one(name, title, cpu, (...given) =>
    runUnaryCase({ ...shape, security: secure() }, ...given),
  );
}

const TEN_BY_TEN = { connections: 10, calls: 10 } as const;

export const TLS_CASES: readonly Case[] = [
  unary('put', 'Put 256 B, 100 clients', { workload: 'put', ...TEN_BY_TEN }),
  unary('put-apart', 'Put 256 B, 100 connections', {
    ...{ workload: 'put', connections: 100, calls: 1 },
  }),
  unary(
    'put-users',
    'Put 256 B, 100 clients with tokens',
    { workload: 'put', ...TEN_BY_TEN },
    mutualWithUsers,
  ),
  unary('range-one', 'Range of one key, linearizable', { workload: 'range-one', ...TEN_BY_TEN }),
  unary('range-one-serializable', 'Range of one key, serializable', {
    ...{ workload: 'range-one-serializable', ...TEN_BY_TEN },
  }),
  unary('range-1000', 'Range of 1,000 keys', {
    ...{ workload: 'range-1000', connections: 4, calls: 1 },
  }),
  one('watch', 'Watch fan-out, per event', cpu, (...given) =>
    runWatchCase({ paced: true, security: mutual() }, ...given),
  ),
  one('handshakes', 'Handshakes, ECDSA, client certificates', rate(), (...given) =>
    runHandshakes(mutual(), ...given),
  ),
  one('handshakes-rsa', 'Handshakes, RSA-2048, client certificates', rate(), (...given) =>
    runHandshakes(mutualRsa(), ...given),
  ),
  one('handshakes-server', 'Handshakes, ECDSA, without client certificates', rate(), (...given) =>
    runHandshakes(serverOnly(), ...given),
  ),
  one('idle', 'Idle connections with client certificates', memory(), (...given) =>
    runIdle(mutual(), ...given),
  ),
  one('idle-server', 'Idle connections without client certificates', memory(), (...given) =>
    runIdle(serverOnly(), ...given),
  ),
  one('storm-logins', 'Puts in a storm of logins of one user', latency(), (...given) =>
    runStorm(mutualWithUsers(), logins([LOADER]), ...given),
  ),
  one('storm-guesses', 'Puts in a storm of wrong passwords of users', latency(), (...given) =>
    runStorm(mutualWithUsers(), logins(guessesFor(OTHERS)), ...given),
  ),
  one('storm-unknown', 'Puts in a storm of logins of nobody', latency(), (...given) =>
    runStorm(mutualWithUsers(), logins(guessesFor(UNKNOWN)), ...given),
  ),
  one('storm-handshakes', 'Puts in a storm of handshakes, RSA-2048', latency(), (...given) =>
    runStorm(mutualRsa(), handshakes, ...given),
  ),
];

function rate(): Goal {
  return { field: 'requestsPerSecond', ratio: 1 };
}

function memory(): Goal {
  return { field: 'kibPerConnection', ratio: 1 };
}

function latency(): Goal {
  return { field: 'p99Ms', ratio: 1 };
}
