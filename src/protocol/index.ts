// Messages are named as in Go: `etcdserverpb.PutRequest` is the type, `etcdserverpb.PutRequestCodec`
// its codec, `etcdserverpb.KVService` a service.

export { acceptsLease, acceptsNumber, acceptsOrder } from './comparison.ts';
export {
  EnumInfo,
  FIELD_TYPES,
  type FieldInfo,
  type FieldType,
  type IntegerPolicy,
  MessageInfo,
} from './descriptor.ts';
export {
  ETCD_ERRORS,
  EtcdError,
  type EtcdErrorDefinition,
  type EtcdErrorName,
  etcdErrorOfMessage,
  isEtcdError,
} from './errors.ts';
export * as authpb from './gen/authpb.ts';
export * as etcdserverpb from './gen/etcdserverpb.ts';
export * as health from './gen/health.ts';
export * as leasepb from './gen/leasepb.ts';
export * as membershippb from './gen/membershippb.ts';
export * as mvccpb from './gen/mvccpb.ts';
export * as pprof from './gen/pprof.ts';
export * as raftpb from './gen/raftpb.ts';
export * as snappb from './gen/snappb.ts';
export * as v3electionpb from './gen/v3electionpb.ts';
export * as v3lockpb from './gen/v3lockpb.ts';
export * as walpb from './gen/walpb.ts';
export { bytesFromBase64 } from './json/base64.ts';
export {
  camelCaseJsonFromWire,
  jsonFromMessage,
  jsonFromWire,
  messageFromJson,
  wireFromJson,
  wireFromJsonValue,
} from './json/json.ts';
export { JsonPrinter } from './json/json-printer.ts';
export { JsonScanner } from './json/json-scanner.ts';
export { JsonSplitter } from './json/json-splitter.ts';
export { MESSAGE_NESTING_MAX, VARINT_BYTES_MAX } from './limits.ts';
export { PutInPlace, readLoggedPut, readPutRequest } from './put-in-place.ts';
export type { MethodDescriptor, ServiceDescriptor } from './service.ts';
export { WatchEnvelope, watchIdField } from './watch-envelope.ts';
export type { Codec, Encoder } from './wire/codec.ts';
export { type FieldSpan, fieldSpans } from './wire/field-spans.ts';
export { GeneratedCodec, wasPlain } from './wire/generated-codec.ts';
export { isUtf8 } from './wire/utf8.ts';
export {
  putBig,
  putBytes,
  putInt,
  putString,
  sizeOfBig,
  sizeOfDelimited,
  sizeOfInt,
  sizeOfString,
  sizeOfUint,
} from './wire/writer.ts';
