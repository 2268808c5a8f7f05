// The endpoints that the commands of `endpoint` call.

import { EXIT } from '../../shell/exit.ts';
import type { Session } from '../session.ts';

export interface EndpointOptions {
  /** Use the endpoints of the member list. */
  readonly cluster: boolean;
}

export async function endpointsToAsk(
  session: Session,
  { cluster }: EndpointOptions,
): Promise<readonly string[]> {
  if (!cluster) return session.endpoints;
  await session.connect(EXIT.ERROR);
  const { members } = await session.ask(
    session.client.cluster.memberList(session.limits),
    EXIT.ERROR,
    'failed to fetch endpoints from etcd cluster member list: ',
  );
  return members.flatMap((member) => member.clientURLs);
}
