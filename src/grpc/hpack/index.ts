export { HpackDecoder } from './decoder.ts';
export {
  ENCODER_TABLE_BYTES_MAX,
  encodedFieldMax,
  HpackEncoder,
  INDEXING,
  type Indexing,
} from './encoder.ts';
export { FIELD_KINDS, FIELD_OVERHEAD, type FieldKind, HeaderField } from './field.ts';
export { RepeatedBlock } from './repeated-block.ts';
