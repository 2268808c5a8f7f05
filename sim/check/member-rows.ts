// The change log as a member stores it.

import { latin1FromBytes } from '../../src/base/index.ts';
import { mvccpb } from '../../src/protocol/index.ts';
import type { StateMachine } from '../../src/store/index.ts';
import { type Change, type ChangeLog, changeLogOfRows } from './change-log.ts';

/** Every row that the member has now. */
export function changeLogOfMember(machine: StateMachine): ChangeLog {
  const { backend, kv } = machine;
  const rows = backend.openRows(0, 0);
  const changes: Change[] = [];
  while (rows.next()) {
    const { buffer, offset, length } = rows.value;
    const fields = mvccpb.KeyValueCodec.decode(buffer, offset, offset + length);
    const { main: revision, tombstone } = rows;
    const key = latin1FromBytes(fields.key);
    if (tombstone) {
      changes.push({ revision, key, value: undefined, createRevision: 0, version: 0, lease: '0' });
      continue;
    }
    const { createRevision, version } = fields;
    const lease = BigInt.asUintN(64, fields.lease).toString();
    const value = latin1FromBytes(fields.value);
    changes.push({ revision, key, value, createRevision, version, lease });
  }
  rows.close();
  return changeLogOfRows(changes, { compacted: kv.compactedRev, current: kv.currentRev });
}
