// A cluster with authentication on: its users, and their tokens.

import { ApiClient, type ClientPem, type Message } from '../helpers/api.ts';

/** `uma` may read and write the keys that begin with `k`; `nora` has no role. */
export const USERS = ['nora', 'uma', 'root'] as const;
export type User = (typeof USERS)[number];

/** A caller of the tables: a user, or nobody. */
export type Caller = 'nobody' | User;
export const CALLERS: readonly Caller[] = ['nobody', ...USERS];

export const passwordOf = (user: string): string => `${user}'s password`;

/** Keys that begin with `k`. */
export const UMAS_RANGE = { key: 'k', range_end: 'l' } as const;

/** Makes the users and turns authentication on. */
export async function enableAuth(endpoint: string, tls?: ClientPem): Promise<void> {
  const api = new ApiClient(endpoint, tls);
  const must = (rpc: string, request: Message = {}) => api.must(`Auth/${rpc}`, request);
  for (const name of USERS) await must('UserAdd', { name, password: passwordOf(name) });
  await must('RoleAdd', { name: 'root' });
  await must('RoleAdd', { name: 'k' });
  await must('RoleGrantPermission', { name: 'k', perm: { permType: 2, ...UMAS_RANGE } });
  await must('UserGrantRole', { user: 'root', role: 'root' });
  await must('UserGrantRole', { user: 'uma', role: 'k' });
  await must('AuthEnable');
  api.close();
}

export async function logIn(api: ApiClient, name: string): Promise<string> {
  const { token } = await api.must('Auth/Authenticate', { name, password: passwordOf(name) });
  return token as string;
}

/** A token of each caller; nobody has none. */
export async function tokensOf(api: ApiClient): Promise<Record<Caller, string | undefined>> {
  const [nora, uma, root] = await Promise.all(USERS.map((user) => logIn(api, user)));
  return { nobody: undefined, nora, uma, root };
}
