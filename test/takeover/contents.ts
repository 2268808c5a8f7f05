// Fills a member with something of every kind, and reads back all that a client can see of it.

import { ApiClient, type Message, type Value } from '../helpers/api.ts';

/** Everything that must survive a change of the server program, in comparable form. */
export interface Contents {
  readonly revision: string;
  /** Every key with all its fields. */
  readonly keys: Value;
  /** HashKV now and at an older revision. */
  readonly hashes: Value;
  /** Id, granted TTL and keys of every lease. */
  readonly leases: Value;
  /** Every event since the compaction. */
  readonly events: Value;
  /** What a read below the compaction gets. */
  readonly compacted: string;
}

const COMPACT_AT = 60;
const ALL = { key: '\0', range_end: '\0' } as const;

/** About 250 log entries: enough for several snapshots at `--snapshot-count=50`. */
export async function fill(endpoint: string, round: number): Promise<void> {
  const client = new ApiClient(endpoint);
  const put = (key: string, value: string, lease = '0'): Promise<Message> =>
    client.must('KV/Put', { key, value, lease });
  try {
    const leases = [7001, 7002, 7003].map((id) => String(id + 10 * round));
    for (const ID of leases) await client.must('Lease/LeaseGrant', { ID, TTL: '90000' });
    for (let i = 0; i < 60; i++) await put(`r${round}/${i % 40}`, `value ${i}`);
    for (let i = 0; i < 10; i++) await put(`r${round}/leased/${i}`, 'held', leases[i % 3]!);
    await client.must('KV/DeleteRange', { key: `r${round}/1`, range_end: `r${round}/2` });
    await client.must('KV/Txn', {
      compare: [{ key: `r${round}/3`, target: 0, result: 1, version: '0' }],
      success: [
        { request_put: { key: `r${round}/txn`, value: '\0\xff' } },
        { request_delete_range: { key: `r${round}/4` } },
        { request_put: { key: `r${round}/5`, value: '', lease: leases[0]! } },
      ],
    });
    await client.must('Lease/LeaseRevoke', { ID: leases[1]! });
    if (round === 0) {
      await client.must('KV/Compact', { revision: String(COMPACT_AT), physical: true });
    }
    for (let i = 0; i < 90; i++) await put(`r${round}/more/${i % 30}`, 'x'.repeat(i * 10));
    await put('big', 'B'.repeat(300_000));
    await client.must('KV/DeleteRange', { key: `r${round}/more/1` });
    for (let i = 0; i < 60; i++) await put(`r${round}/last`, String(i));
  } finally {
    client.close();
  }
}

export async function observe(endpoint: string): Promise<Contents> {
  const client = new ApiClient(endpoint);
  try {
    const range = await client.must('KV/Range', ALL);
    const revision = String((range['header'] as Message)['revision']);
    const below = await client.call('KV/Range', { ...ALL, revision: String(COMPACT_AT - 1) });
    return {
      revision,
      keys: range['kvs'],
      hashes: [await hash(client, '0'), await hash(client, String(COMPACT_AT + 40))],
      leases: await leasesOf(client),
      events: await eventsOf(client, revision),
      compacted: `${below.code} ${below.details}`,
    };
  } finally {
    client.close();
  }
}

async function hash(client: ApiClient, revision: string): Promise<Value> {
  const response = await client.must('Maintenance/HashKV', { revision });
  return { hash: response['hash'], compact_revision: response['compact_revision'] };
}

async function leasesOf(client: ApiClient): Promise<Value> {
  const list = (await client.must('Lease/LeaseLeases', {}))['leases'] as readonly Message[];
  const ids = list.map((lease) => String(lease['ID'])).sort();
  const leases: Value[] = [];
  for (const ID of ids) {
    const one = await client.must('Lease/LeaseTimeToLive', { ID, keys: true });
    const keys = [...(one['keys'] as readonly string[])].sort();
    leases.push({ ID, grantedTTL: one['grantedTTL'], keys });
  }
  return leases;
}

async function eventsOf(client: ApiClient, revision: string): Promise<Value> {
  const stream = client.stream('Watch/Watch');
  stream.send({
    create_request: { ...ALL, start_revision: String(COMPACT_AT + 1), prev_kv: true },
  });
  const events = (): Message[] =>
    stream.received.flatMap((response) => response['events'] as readonly Message[]);
  const complete = await stream.until(
    () => String((events().at(-1)?.['kv'] as Message | undefined)?.['mod_revision']) === revision,
  );
  stream.cancel();
  if (!complete) throw new Error(`events up to revision ${revision} did not all come`);
  return events();
}
