// v3electionpb.Election: a leader among candidates, and the value that it proclaims. An election is a queue
// of keys; whose key was created first leads.
// Behaviour and texts: etcd v3.7.1 `server/etcdserver/api/v3election` and `client/v3/concurrency/election.go`.

import { bytesFromLatin1, equalBytes, latin1FromBytes } from '../../base/index.ts';
import { v3electionpb } from '../../protocol/index.ts';
import type { LocalCalls, ServiceTable, UnaryCall } from '../../rpc/index.ts';
import { answerWith, type CallerClient, plainError } from './caller-client.ts';
import { KeyQueue, opDelete, opPut, type Place, wasCreatedAt } from './key-queue.ts';
import { Observation } from './observation.ts';

const { ElectionService, CampaignResponseCodec, LeaderResponseCodec } = v3electionpb;
const { LeaderKeyCodec, ProclaimResponseCodec, ResignResponseCodec } = v3electionpb;
const methods = ElectionService.methods;

const NO_LEADER_KEY = '"leader" field must be provided';
const NOT_LEADER = 'election: not leader';
const NO_LEADER = 'election: no leader';

export interface ElectionParts {
  readonly localCalls: LocalCalls;
}

export function registerElectionService(table: ServiceTable, parts: ElectionParts): void {
  table.unary(
    methods.campaign,
    (call, { name, lease, value }) => {
      const wanted = { name: name.slice(), lease, value: value.slice() };
      answerWith(parts.localCalls, call, CampaignResponseCodec, (client) =>
        campaign(client, wanted),
      );
    },
    { access: 'handler', holdsMemory: true },
  );
  const proclaimNow = (call: UnaryCall, request: v3electionpb.ProclaimRequest): void => {
    const leader = owned(request.leader);
    const value = request.value.slice();
    answerWith(parts.localCalls, call, ProclaimResponseCodec, (client) =>
      proclaim(client, leader, value),
    );
  };
  table.unary(methods.proclaim, proclaimNow, { access: 'handler' });
  const resignNow = (call: UnaryCall, request: v3electionpb.ResignRequest): void => {
    const leader = owned(request.leader);
    answerWith(parts.localCalls, call, ResignResponseCodec, (client) => resign(client, leader));
  };
  table.unary(methods.resign, resignNow, { access: 'handler' });
  const leaderNow = (call: UnaryCall, { name }: v3electionpb.LeaderRequest): void => {
    const wanted = latin1FromBytes(name);
    answerWith(parts.localCalls, call, LeaderResponseCodec, async (client) => {
      const { header, kvs } = await new KeyQueue(client, wanted).first();
      if (kvs[0] === undefined) throw plainError(NO_LEADER);
      return LeaderResponseCodec.create({ header, kv: kvs[0] });
    });
  };
  table.unary(methods.leader, leaderNow, { access: 'handler' });
  table.stream(methods.observe, (call) => new Observation(parts.localCalls, call), {
    access: 'handler',
    holdsMemory: true,
  });
}

async function campaign(
  client: CallerClient,
  { name, lease, value }: Pick<v3electionpb.CampaignRequest, 'name' | 'lease' | 'value'>,
): Promise<v3electionpb.CampaignResponse> {
  const queue = new KeyQueue(client, latin1FromBytes(name));
  const place = await queue.enter(lease, value);
  const leader = leaderKeyOf(name, place);
  if (place.found !== undefined && !equalBytes(place.found, value)) {
    try {
      await proclaim(client, leader, value);
    } catch (error) {
      await queue.leave(place);
      throw error;
    }
  }
  if ((await queue.waitForTurn(place)) === undefined) throw plainError(NOT_LEADER);
  return CampaignResponseCodec.create({ header: place.header, leader });
}

async function proclaim(
  client: CallerClient,
  leader: v3electionpb.LeaderKey | undefined,
  value: Uint8Array,
): Promise<v3electionpb.ProclaimResponse> {
  if (leader === undefined) throw plainError(NO_LEADER_KEY);
  const { key, rev, lease } = leader;
  const { succeeded, header } = await client.txn({
    compare: [wasCreatedAt(key, rev)],
    success: [opPut({ key, value, lease: await client.leaseOr(lease) })],
  });
  if (!succeeded) throw plainError(NOT_LEADER);
  return ProclaimResponseCodec.create({ header });
}

/** Who does not lead any more has nothing to resign. */
async function resign(
  client: CallerClient,
  leader: v3electionpb.LeaderKey | undefined,
): Promise<v3electionpb.ResignResponse> {
  if (leader === undefined) throw plainError(NO_LEADER_KEY);
  const { key, rev } = leader;
  const { header } = await client.txn({
    compare: [wasCreatedAt(key, rev)],
    success: [opDelete(key)],
  });
  return ResignResponseCodec.create({ header });
}

function leaderKeyOf(name: Uint8Array, place: Place): v3electionpb.LeaderKey {
  const { key, createRev: rev, lease } = place;
  return LeaderKeyCodec.create({ name, key: bytesFromLatin1(key), rev, lease });
}

/** A copy that outlives the connection's buffer. */
function owned(leader: v3electionpb.LeaderKey | undefined): v3electionpb.LeaderKey | undefined {
  if (leader === undefined) return undefined;
  return { ...leader, name: leader.name.slice(), key: leader.key.slice() };
}
