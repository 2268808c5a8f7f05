// Which endpoints the commands of `endpoint` ask.

import { EXIT } from '../../shell/exit.ts';
import type { Session } from '../session.ts';

export interface EndpointOptions {
  /** Those of the member list, not those given. */
  readonly cluster: boolean;
}

export async function endpointsToAsk(
  session: Session,
  { cluster }: EndpointOptions,
): Promise<readonly string[]> {
  if (!cluster) return session.endpoints;
  const { members } = await session.ask(
    session.client.cluster.memberList(session.limits),
    EXIT.ERROR,
    'failed to fetch endpoints from etcd cluster member list: ',
  );
  return members.flatMap((member) => member.clientURLs);
}
