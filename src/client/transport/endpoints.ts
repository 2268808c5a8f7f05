// The endpoints of a client while it lives: as given, replaced, or taken from the member list.

import type { Channel } from '../../grpc/index.ts';
import type { etcdserverpb } from '../../protocol/index.ts';
import { invalidArgument } from '../errors.ts';
import { parseEndpoints } from './endpoint.ts';

export class Endpoints {
  /** Whether endpoints that do not say so are encrypted. */
  readonly encrypts: boolean;
  readonly #channel: Channel;
  #texts: readonly string[];

  /** The channel has `texts` already. */
  constructor(channel: Channel, texts: readonly string[], encrypts: boolean) {
    this.#channel = channel;
    this.#texts = texts;
    this.encrypts = encrypts;
  }

  get texts(): readonly string[] {
    return this.#texts;
  }

  /** INVALID_ARGUMENT, and nothing is changed, if they make no sense. */
  set(texts: readonly string[]): void {
    this.#channel.setEndpoints(parseEndpoints(texts, this.encrypts));
    this.#texts = [...texts];
  }

  /**
   * As `set`, with what a member has said: a client that encrypts is not moved to an endpoint that does
   * not, nor one that does not to an endpoint whose authority it has never heard of.
   */
  setFound(texts: readonly string[]): void {
    const schemesOf = (some: readonly string[]) =>
      parseEndpoints(some, this.encrypts).map(({ scheme }) => scheme);
    const schemes = new Set(schemesOf(this.#texts));
    const isStrange = schemesOf(texts).some((scheme) => !schemes.has(scheme));
    if (isStrange) {
      const why = schemes.has('https') ? 'are not encrypted' : 'ask for TLS';
      throw invalidArgument(`endpoints ${texts.join(', ')} ${why}, unlike those in use`);
    }
    this.set(texts);
  }
}

/** Where clients find those members that are started and have a vote: learners serve hardly anything. */
export function clientUrlsOf({ members }: etcdserverpb.MemberListResponse): readonly string[] {
  const serving = members.filter(({ name, isLearner }) => name !== '' && !isLearner);
  return [...new Set(serving.flatMap(({ clientURLs }) => clientURLs))];
}
