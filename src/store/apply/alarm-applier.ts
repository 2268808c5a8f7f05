// Applies the requests that raise, lower and list alarms.

import { etcdserverpb } from '../../protocol/index.ts';
import type { AlarmStore } from '../schema/alarm-store.ts';
import type { AlarmOperation } from './operation.ts';
import { OperationApplier } from './operation-applier.ts';
import type { StoreWriter } from './store-writer.ts';

const { AlarmAction, AlarmType } = etcdserverpb;

export class AlarmRequestApplier extends OperationApplier<AlarmOperation> {
  readonly #alarms: AlarmStore;

  constructor(writer: StoreWriter, alarms: AlarmStore) {
    super(writer);
    this.#alarms = alarms;
  }

  protected start({ request }: AlarmOperation): boolean {
    return this.complete({ kind: 'alarm', alarms: this.#apply(request) });
  }

  #apply(request: etcdserverpb.AlarmRequest): etcdserverpb.AlarmMember[] {
    const alarms = this.#alarms;
    const type = request.alarm as etcdserverpb.AlarmType;
    if (request.action === AlarmAction.GET) return alarms.list(type);
    if (request.action === AlarmAction.ACTIVATE) {
      return type === AlarmType.NONE ? [] : [alarms.activate(request.memberID, type)];
    }
    const lowered = alarms.deactivate(request.memberID, type);
    return lowered === undefined ? [] : [lowered];
  }
}
