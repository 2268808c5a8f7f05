// The current endpoints of a client: as given, replaced, or taken from the member list.

import type { Channel } from '../../grpc/index.ts';
import type { etcdserverpb } from '../../protocol/index.ts';
import { invalidArgument } from '../errors.ts';
import { parseEndpoints } from './endpoint.ts';

export class Endpoints {
  /** Whether endpoints without a scheme are encrypted. */
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

  /** Replaces the endpoints. INVALID_ARGUMENT, with nothing changed, if one is malformed. */
  set(texts: readonly string[]): void {
    this.#channel.setEndpoints(parseEndpoints(texts, this.encrypts));
    this.#texts = [...texts];
  }

  /**
   * As `set`, with the member list's URLs: an encrypted client is not moved to a plaintext endpoint, nor a
   * plaintext one to an endpoint whose authority it does not know.
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

/** Client URLs of started voting members: learners serve few requests. */
export function clientUrlsOf({ members }: etcdserverpb.MemberListResponse): readonly string[] {
  const serving = members.filter(({ name, isLearner }) => name !== '' && !isLearner);
  return [...new Set(serving.flatMap(({ clientURLs }) => clientURLs))];
}
