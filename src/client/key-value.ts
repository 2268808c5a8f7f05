// A key with its value and revisions, in results and events.

import { utf8FromBytes } from '../base/index.ts';
import type { mvccpb } from '../protocol/index.ts';
import { Printed } from './printed.ts';

/** A key with its value; has every field of `mvccpb.KeyValue`. The receiver owns the bytes. */
export class KeyValue extends Printed implements mvccpb.KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Revision in which the key was created; 0 in a DELETE event. */
  readonly createRevision: number;
  /** Revision of the last change. */
  readonly modRevision: number;
  /** Number of changes since the key was created, from 1; 0 in a DELETE event. */
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

  /** The value parsed as JSON. Throws a SyntaxError if it is not JSON. */
  valueJson(): unknown {
    return JSON.parse(this.valueText);
  }
}

export function keyValueOf(fields: mvccpb.KeyValue | undefined): KeyValue | undefined {
  return fields === undefined ? undefined : new KeyValue(fields);
}
