// Users who watch while an administrator changes what they may: with watches that last, whose streams
// break and begin again; and on streams of one token, on which they ask for one watch after the other.

import { bytesFromLatin1, type Random, seededRandom } from '../src/base/index.ts';
import { EtcdError } from '../src/client/index.ts';
import { type ClientStream, createChannel } from '../src/grpc/index.ts';
import { etcdserverpb } from '../src/protocol/index.ts';
import type { Keys } from './check/history.ts';
import { RawWatch } from './check/raw-watch.ts';
import type { LoginMoments, WatchAsked } from './check/watch-permissions.ts';
import type { SimCluster } from './cluster.ts';
import type { SimNode } from './node.ts';

const { WatchRequestCodec, WatchResponseCodec, WatchService, WatchCreateRequestCodec } =
  etcdserverpb;

const STREAM_WATCHES_MAX = 8;
const PAUSE_MS = 400;
const REQUEST_MS = 3_000;
/** Of a watch that was refused. */
const RETRY_MS = 1_000;
/** What may be asked for; permissions of users are for some of it. */
const RANGES: readonly Keys[] = [
  { key: 'k', end: 'l' },
  { key: 'k00' },
  { key: 'k01', end: 'k02' },
  { key: 'k02', end: 'k04' },
  { key: 'k02', end: '\0' },
  { key: 'k03', end: 'k9' },
];

interface WatchUser {
  readonly user: string;
  /** Those that the user has, now or at another time. */
  readonly passwords: readonly string[];
}

interface Session {
  readonly token: string;
  readonly login: LoginMoments;
}

export class UserWatches {
  /** What was asked for on streams of one token. */
  readonly asked: WatchAsked[] = [];
  /** Names of the watches that last, with their users. */
  readonly users = new Map<string, string>();
  readonly lasting: RawWatch[] = [];
  readonly #cluster: SimCluster;
  readonly #random: Random;

  constructor(cluster: SimCluster, seed: number) {
    this.#cluster = cluster;
    this.#random = seededRandom(seed ^ 0x3a7c4);
  }

  /** A watch for each user. */
  open(users: readonly WatchUser[], nodes: readonly SimNode[]): void {
    const { recorder, runtime } = this.#cluster;
    for (const [i, each] of users.entries()) {
      const client = `u${i}`;
      this.users.set(client, each.user);
      const request = { ...this.#oneOf(RANGES), startRevision: 2, prevKv: i % 2 === 0 };
      const endpoints = this.#cluster.endpoints(nodes);
      const token = async () => (await this.#logIn(each, nodes))?.token;
      this.lasting.push(
        new RawWatch({ recorder, runtime, endpoints, client, request, token, retryMs: RETRY_MS }),
      );
    }
  }

  /** Asks for watches in the name of the user until then. */
  async ask(each: WatchUser, nodes: readonly SimNode[], endMs: number): Promise<void> {
    const { clock } = this.#cluster;
    while (clock.monotonicMs() < endMs) {
      await this.#pause();
      const session = await this.#logIn(each, nodes).catch(() => undefined);
      if (session === undefined) continue;
      const stream = new AskingStream(this.#cluster, nodes, session.token);
      let count = 1 + this.#random.below(STREAM_WATCHES_MAX);
      while (count-- > 0 && !stream.isOver && clock.monotonicMs() < endMs) {
        await this.#pause();
        await this.#askOnce(stream, each.user, session.login);
      }
      stream.close();
    }
  }

  async #askOnce(stream: AskingStream, user: string, login: LoginMoments): Promise<void> {
    const { recorder } = this.#cluster;
    const keys = this.#oneOf(RANGES);
    const called = recorder.moment();
    const answer = await stream.ask(keys);
    if (answer === undefined) return;
    const refusal = answer.canceled ? answer.cancelReason : undefined;
    this.asked.push({ user, login, keys, called, returned: recorder.moment(), refusal });
  }

  /** Undefined while authentication is off; rejects when no password is taken, or nobody answers. */
  async #logIn(
    { user: name, passwords }: WatchUser,
    nodes: readonly SimNode[],
  ): Promise<Session | undefined> {
    const { recorder } = this.#cluster;
    const { authenticate } = etcdserverpb.AuthService.methods;
    const client = this.#cluster.client(nodes, null);
    let refused: unknown;
    try {
      for (const password of passwords) {
        const called = recorder.moment();
        try {
          const limits = { timeoutMs: REQUEST_MS };
          const { token } = await client.call(authenticate, { name, password }, limits);
          return { token, login: { called, returned: recorder.moment() } };
        } catch (error) {
          refused = error;
          if (!(error instanceof EtcdError)) break;
          if (error.code === 'AUTH_NOT_ENABLED') return undefined;
          if (error.code !== 'AUTH_FAILED') break;
        }
      }
    } finally {
      client.close();
    }
    throw refused;
  }

  #pause(): Promise<void> {
    return this.#cluster.sleep(this.#random.below(PAUSE_MS));
  }

  #oneOf<T>(items: readonly T[]): T {
    return items[this.#random.below(items.length)]!;
  }
}

/** A stream on which a watch is asked for when the one before was answered, and given up then. */
class AskingStream {
  readonly #cluster: SimCluster;
  readonly #stream: ClientStream;
  readonly #close: () => void;
  #waiting: ((answer: etcdserverpb.WatchResponse | undefined) => void) | undefined = undefined;
  isOver = false;

  constructor(cluster: SimCluster, nodes: readonly SimNode[], token: string) {
    this.#cluster = cluster;
    const channel = createChannel({ endpoints: cluster.endpoints(nodes), ...cluster.runtime });
    this.#close = () => channel.close();
    this.#stream = channel.stream(
      WatchService.methods.watch.path,
      {
        onMessage: (bytes) => {
          const answer = WatchResponseCodec.decode(bytes);
          if (answer.created) this.#answer(answer);
        },
        onStatus: () => {
          this.isOver = true;
          this.#answer(undefined);
        },
        onDrain: () => {},
      },
      { waitForReady: true, metadata: { token } },
    );
  }

  /** Undefined: the stream has ended, or takes too long. */
  async ask({ key, end = '' }: Keys): Promise<etcdserverpb.WatchResponse | undefined> {
    const range = { key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(end) };
    const value = WatchCreateRequestCodec.create(range);
    const answer = await new Promise<etcdserverpb.WatchResponse | undefined>((resolve) => {
      this.#waiting = resolve;
      this.#cluster.timers.after(REQUEST_MS, () => {
        if (this.#waiting !== resolve) return;
        this.close();
        this.#answer(undefined);
      });
      this.#stream.write(WatchRequestCodec, { requestUnion: { case: 'createRequest', value } });
    });
    if (answer?.canceled === false) {
      const { watchId } = answer;
      this.#stream.write(WatchRequestCodec, {
        requestUnion: { case: 'cancelRequest', value: { watchId } },
      });
    }
    return answer;
  }

  close(): void {
    this.isOver = true;
    this.#stream.cancel();
    this.#close();
  }

  #answer(answer: etcdserverpb.WatchResponse | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(answer);
  }
}
