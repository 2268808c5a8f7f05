// v3lockpb.Lock: mutual exclusion for clients without a library of their own. A lock is a queue of keys; it
// is held for as long as the key that was created first exists.
// Behaviour and texts: etcd v3.7.1 `server/etcdserver/api/v3lock` and `client/v3/concurrency/mutex.go`.

import { bytesFromLatin1, latin1FromBytes } from '../../base/index.ts';
import { v3lockpb } from '../../protocol/index.ts';
import type { LocalCalls, ServiceTable, UnaryCall } from '../../rpc/index.ts';
import { answerWith, type CallerClient, plainError } from './caller-client.ts';
import { KeyQueue } from './key-queue.ts';

const { LockService, LockResponseCodec, UnlockResponseCodec } = v3lockpb;
const methods = LockService.methods;

const SESSION_EXPIRED = 'mutex: session is expired';
const NO_VALUE = new Uint8Array(0);

export interface LockParts {
  readonly localCalls: LocalCalls;
}

export function registerLockService(table: ServiceTable, parts: LockParts): void {
  table.unary(
    methods.lock,
    (call, { name, lease }) => {
      const wanted = latin1FromBytes(name);
      answerWith(parts.localCalls, call, LockResponseCodec, (client) =>
        lock(client, wanted, lease),
      );
    },
    { access: 'handler', holdsMemory: true },
  );
  const unlock = (call: UnaryCall, request: v3lockpb.UnlockRequest): void => {
    const key = request.key.slice();
    answerWith(parts.localCalls, call, UnlockResponseCodec, async (client) => {
      const { header } = await client.deleteRange({ key });
      return UnlockResponseCodec.create({ header });
    });
  };
  table.unary(methods.unlock, unlock, { access: 'handler' });
}

async function lock(
  client: CallerClient,
  name: string,
  lease: bigint,
): Promise<v3lockpb.LockResponse> {
  const queue = new KeyQueue(client, name);
  const place = await queue.enter(lease, NO_VALUE);
  const turn = await queue.waitForTurn(place);
  if (turn === undefined) throw plainError(SESSION_EXPIRED);
  return LockResponseCodec.create({ header: turn.header, key: bytesFromLatin1(place.key) });
}
