// Cluster.MemberList of a proxy: its clients are to find proxies, and no members.

import { hostname } from 'node:os';
import { etcdserverpb } from '../../protocol/index.ts';
import type { ServiceTable } from '../../rpc/index.ts';
import { passUnary, REPEATABLE } from '../calls/passed-unary.ts';
import type { Upstream } from '../calls/upstream.ts';

const { memberList } = etcdserverpb.ClusterService.methods;
const { MemberCodec } = etcdserverpb;

/** A proxy as a member: its name, and where clients reach it. */
export interface ListedProxy {
  readonly name: string;
  readonly url: string;
}

interface ClusterServiceParts {
  readonly upstream: Upstream;
  /** Empty: the members are listed, as the cluster does it. */
  readonly advertisedUrl: string;
  /** Proxies that are registered; without any, this one is listed alone. */
  readonly registered: () => readonly ListedProxy[];
}

export function registerClusterService(table: ServiceTable, parts: ClusterServiceParts): void {
  const { upstream, advertisedUrl, registered } = parts;
  table.unary(memberList, (call, _, bytes) => {
    if (advertisedUrl === '') {
      passUnary(upstream, call, bytes, undefined, REPEATABLE);
      return;
    }
    const found = registered();
    const listed = found.length > 0 ? found : [{ name: hostname(), url: advertisedUrl }];
    const members = listed.map(({ name, url }) => MemberCodec.create({ name, clientURLs: [url] }));
    call.reply(memberList.response, memberList.response.create({ members }));
  });
}
