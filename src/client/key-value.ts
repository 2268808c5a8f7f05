// A key with its value and history, as results and events carry it.

import { utf8FromBytes } from '../base/index.ts';
import type { mvccpb } from '../protocol/index.ts';
import { Printed } from './printed.ts';

/** Has every field of `mvccpb.KeyValue`. Bytes are owned by the receiver of the result. */
export class KeyValue extends Printed implements mvccpb.KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Revision in which the key last came into being; 0 in the event of a deletion. */
  readonly createRevision: number;
  /** Revision of the newest change. */
  readonly modRevision: number;
  /** Changes since the key came into being, from 1; 0 in the event of a deletion. */
  readonly version: number;
  /** Lease that the key is attached to; 0n for none. */
  readonly lease: bigint;

  constructor(fields: mvccpb.KeyValue) {
    super();
    this.key = fields.key;
    this.value = fields.value;
    this.createRevision = fields.createRevision;
    this.modRevision = fields.modRevision;
    this.version = fields.version;
    this.lease = fields.lease;
  }

  /** The key as UTF-8; bytes that are none become U+FFFD. */
  get keyText(): string {
    return utf8FromBytes(this.key);
  }

  /** The value as UTF-8; bytes that are none become U+FFFD. */
  get valueText(): string {
    return utf8FromBytes(this.value);
  }

  /** The value parsed as JSON. Throws a SyntaxError if it is none. */
  valueJson(): unknown {
    return JSON.parse(this.valueText);
  }
}

export function keyValueOf(fields: mvccpb.KeyValue | undefined): KeyValue | undefined {
  return fields === undefined ? undefined : new KeyValue(fields);
}
