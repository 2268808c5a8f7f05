export { HpackDecoder } from './decoder.ts';
export {
  encodedFieldMax,
  HpackEncoder,
  INDEXING,
  type Indexing,
} from './encoder.ts';
export { FIELD_KINDS, FIELD_OVERHEAD, HeaderField } from './field.ts';
export { RepeatedBlock } from './repeated-block.ts';
