// The alarms that are raised in the cluster: which member, which alarm. Kept in the alarm bucket,
// one row per alarm, whose key is the encoded `AlarmMember` and whose value is empty.

import { bytesFromLatin1, EMPTY_BYTES, latin1FromBytes } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { Backend } from '../backend/backend.ts';
import { type BackendSnapshot, readAt } from '../backend/committed-view.ts';
import { BUCKET } from './schema.ts';

const { AlarmMemberCodec, AlarmType } = etcdserverpb;
type AlarmMember = etcdserverpb.AlarmMember;
type AlarmType = etcdserverpb.AlarmType;

/** The alarms in the rows of the bucket, by key. MALFORMED for a key that is no alarm. */
export function readAlarms(
  rows: Pick<BackendSnapshot, 'entries' | 'placeOf'>,
): Map<string, AlarmMember> {
  const alarms = new Map<string, AlarmMember>();
  for (const key of rows.entries(BUCKET.ALARM).keys()) {
    const decode = () => AlarmMemberCodec.decode(bytesFromLatin1(key));
    alarms.set(key, readAt(rows, BUCKET.ALARM, key, decode));
  }
  return alarms;
}

export class AlarmStore {
  readonly #backend: Backend;
  /** Key: the row's key. */
  readonly #alarms: Map<string, AlarmMember>;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.#alarms = readAlarms(backend);
  }

  /** The alarms of a type, or all for `NONE`, by member; a fresh array. */
  list(type: AlarmType): AlarmMember[] {
    return [...this.#alarms.values()]
      .filter((alarm) => type === AlarmType.NONE || alarm.alarm === type)
      .sort((a, b) => a.alarm - b.alarm || (a.memberID < b.memberID ? -1 : 1));
  }

  has(type: AlarmType): boolean {
    for (const alarm of this.#alarms.values()) if (alarm.alarm === type) return true;
    return false;
  }

  /** Raises an alarm; raising it again changes nothing. Returns it. */
  activate(memberID: bigint, type: AlarmType): AlarmMember {
    const alarm = AlarmMemberCodec.create({ memberID, alarm: type });
    const key = latin1FromBytes(AlarmMemberCodec.encode(alarm));
    if (!this.#alarms.has(key)) {
      this.#alarms.set(key, alarm);
      this.#backend.set(BUCKET.ALARM, key, EMPTY_BYTES);
    }
    return alarm;
  }

  /** Lowers an alarm. Undefined if it was not raised. */
  deactivate(memberID: bigint, type: AlarmType): AlarmMember | undefined {
    const alarm = AlarmMemberCodec.create({ memberID, alarm: type });
    const key = latin1FromBytes(AlarmMemberCodec.encode(alarm));
    if (!this.#alarms.delete(key)) return undefined;
    this.#backend.set(BUCKET.ALARM, key, undefined);
    return alarm;
  }
}
