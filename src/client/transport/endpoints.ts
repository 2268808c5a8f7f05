// The endpoints of a client while it lives: as given, replaced, or taken from the member list.

import type { Channel } from '../../grpc/index.ts';
import type { etcdserverpb } from '../../protocol/index.ts';
import { invalidArgument } from '../errors.ts';
import { parseEndpoints } from './endpoint.ts';

export class Endpoints {
  readonly #channel: Channel;
  readonly #hasTlsOptions: boolean;
  readonly #isSecure: boolean;
  #texts: readonly string[];

  /** The channel has `texts` already; how it connects, with TLS or without, cannot change. */
  constructor(
    channel: Channel,
    texts: readonly string[],
    tls: { readonly given: boolean; readonly used: boolean },
  ) {
    this.#channel = channel;
    this.#texts = texts;
    this.#hasTlsOptions = tls.given;
    this.#isSecure = tls.used;
  }

  get texts(): readonly string[] {
    return this.#texts;
  }

  /** INVALID_ARGUMENT, and nothing is changed, if they make no sense or need TLS that is missing. */
  set(texts: readonly string[]): void {
    const { endpoints, secure } = parseEndpoints(texts, this.#hasTlsOptions);
    if (secure !== this.#isSecure) {
      const why = secure ? 'ask for TLS, which this client does not use' : 'are not encrypted';
      throw invalidArgument(`endpoints ${texts.join(', ')} ${why}`);
    }
    this.#channel.setEndpoints(endpoints);
    this.#texts = [...texts];
  }
}

/** Where clients find those members that are started and have a vote: learners serve hardly anything. */
export function clientUrlsOf({ members }: etcdserverpb.MemberListResponse): readonly string[] {
  const serving = members.filter(({ name, isLearner }) => name !== '' && !isLearner);
  return [...new Set(serving.flatMap(({ clientURLs }) => clientURLs))];
}
