// Users of a member in a simulated world, and calls in their names.

import { bytesFromLatin1 } from '../../base/index.ts';
import { PairMetadata } from '../../grpc/index.ts';
import { authpb, etcdserverpb } from '../../protocol/index.ts';
import type { LocalContext } from '../../rpc/index.ts';
import type { Member } from '../member.ts';
import { call } from '../testing/local-client.fixture.ts';

export const auth = etcdserverpb.AuthService.methods;
export const kv = etcdserverpb.KVService.methods;

export type Caller = Partial<LocalContext>;

export function withToken(token: string): Caller {
  return { metadata: new PairMetadata([['token', token]]) };
}

/** What the service answers, as its client would read it: `OK`, or the text of the status. */
export function shown(answer: unknown): string {
  if (!Array.isArray(answer)) return 'OK';
  return (answer[1] as string).replace('etcdserver: ', '');
}

/** `root`, and `uma` who may read and write keys that begin with `k`; their passwords are their names. */
export async function secure(member: Member): Promise<void> {
  const must = async (answer: Promise<unknown>): Promise<void> => {
    const text = shown(await answer);
    if (text !== 'OK') throw new Error(text);
  };
  const range = { key: bytesFromLatin1('k'), rangeEnd: bytesFromLatin1('l') };
  const perm = { permType: authpb.Type.READWRITE, ...range };
  for (const name of ['root', 'uma']) {
    await must(call(member, auth.userAdd, { name, password: name }));
  }
  await must(call(member, auth.roleAdd, { name: 'k' }));
  await must(call(member, auth.roleGrantPermission, { name: 'k', perm }));
  await must(call(member, auth.userGrantRole, { user: 'uma', role: 'k' }));
  await must(call(member, auth.userGrantRole, { user: 'root', role: 'root' }));
  await must(call(member, auth.authEnable, {}));
}

export async function tokenOf(member: Member, name: string, password = name): Promise<string> {
  const answer = await call(member, auth.authenticate, { name, password });
  if (Array.isArray(answer)) throw new Error(answer[1]);
  return (answer as etcdserverpb.AuthenticateResponse).token;
}

/** How a read by the bearer of a token ends. */
export async function reads(
  member: Member,
  token: string,
  key = 'k',
  serializable = true,
): Promise<string> {
  const request = { key: bytesFromLatin1(key), serializable };
  return shown(await call(member, kv.range, request, withToken(token)));
}
