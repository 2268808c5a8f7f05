// Requests as etcd prints them in its log: Go's text form of protobuf, in which values are replaced by their
// sizes. Passwords and tokens are left out.

import { goQuote } from '../../base/index.ts';
import { formatId } from '../../membership/index.ts';
import { etcdserverpb, type MessageInfo } from '../../protocol/index.ts';

const SECRETS: ReadonlySet<string> = new Set(['password', 'hashed_password', 'simple_token']);

/** The text of a log entry's request. */
export function entryText(request: etcdserverpb.InternalRaftRequest): string {
  const header = `header:<${textOf(etcdserverpb.RequestHeaderCodec.descriptor, request.header ?? {})}>`;
  const { put, txn, leaseGrant: grant, leaseRevoke: revoke } = request;
  if (grant) return `${header} lease_grant:<ttl:${grant.ttl}-second id:${paddedId(grant.id)}>`;
  if (revoke) return `${header} lease_revoke:<id:${paddedId(revoke.id)}>`;
  if (put) return `${header} put:<${putText(put)}>`;
  if (txn) return `${header} txn:<${txnText(txn)}>`;
  const info = etcdserverpb.InternalRaftRequestCodec.descriptor;
  const texts = fieldTexts(info, { ...request, header: undefined });
  return [header.replace('<', '{').replace(/>$/, '}'), ...texts].join(' ');
}

function paddedId(id: bigint): string {
  return formatId(id).padStart(16, '0');
}

export function rangeText(request: etcdserverpb.RangeRequest): string {
  return textOf(etcdserverpb.RangeRequestCodec.descriptor, request);
}

export function txnText(request: etcdserverpb.TxnRequest): string {
  const ops = (list: readonly etcdserverpb.RequestOp[]): string => list.map(opText).join(' ');
  const compare = request.compare.map(compareText).join(' ');
  return `compare:<${compare}> success:<${ops(request.success)}> failure:<${ops(request.failure)}>`;
}

function opText(op: etcdserverpb.RequestOp): string {
  if (op.request?.case === 'requestPut') return `request_put:<${putText(op.request.value)}>`;
  if (op.request?.case === 'requestTxn') return `request_txn:<${txnText(op.request.value)}>`;
  return textOf(etcdserverpb.RequestOpCodec.descriptor, op);
}

function putText({ value, ...request }: etcdserverpb.PutRequest): string {
  const [key, ...rest] = fieldTexts(etcdserverpb.PutRequestCodec.descriptor, request);
  const size = value.length === 0 ? [] : [`value_size:${value.length}`];
  // The key is the first field, unless it is empty and refused before.
  return [...(key === undefined ? [] : [key]), ...size, ...rest].map((text) => `${text} `).join('');
}

function compareText(compare: etcdserverpb.Compare): string {
  const { targetUnion } = compare;
  const info = etcdserverpb.CompareCodec.descriptor;
  if (targetUnion?.case !== 'value') return textOf(info, compare);
  const rest = fieldTexts(info, { ...compare, targetUnion: undefined });
  return `${rest.join(' ')} value_size:${targetUnion.value.length} `;
}

function textOf(info: MessageInfo, message: object): string {
  return fieldTexts(info, message).join(' ');
}

function fieldTexts(info: MessageInfo, message: object): string[] {
  const texts: string[] = [];
  for (const field of info.fields) {
    if (SECRETS.has(field.name)) continue;
    const holder: unknown = (message as Record<string, unknown>)[field.oneof ?? field.property];
    let value = holder;
    if (field.oneof !== undefined) {
      const choice = holder as { readonly case: string; readonly value: unknown } | undefined;
      if (choice?.case !== field.property) continue;
      value = choice.value;
    } else if (isDefault(value)) continue;
    for (const each of Array.isArray(value) ? value : [value]) {
      if (field.message !== undefined) {
        texts.push(`${field.name}:{${textOf(field.message, each as object)}}`);
      } else if (field.enum !== undefined) {
        texts.push(`${field.name}:${field.enum.nameOf(each as number) ?? String(each)}`);
      } else texts.push(`${field.name}:${scalarText(each)}`);
    }
  }
  return texts;
}

function scalarText(value: unknown): string {
  return value instanceof Uint8Array || typeof value === 'string' ? goQuote(value) : String(value);
}

function isDefault(value: unknown): boolean {
  if (value instanceof Uint8Array || typeof value === 'string') return value.length === 0;
  return value === undefined || value === false || value === 0 || value === 0n;
}
