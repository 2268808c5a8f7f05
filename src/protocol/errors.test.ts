import { expect, test } from 'vitest';
import {
  ETCD_ERRORS,
  EtcdError,
  type EtcdErrorDefinition,
  etcdErrorOfMessage,
  isEtcdError,
} from './errors.ts';
import { testWithReference } from './reference.fixture.ts';

interface Reference {
  readonly grpc_errors: readonly {
    readonly name: string;
    readonly alias_of?: string;
    readonly number: number;
    readonly message: string;
  }[];
  readonly server_mapping: readonly { wire_number: number; wire_message: string }[];
  readonly unmapped_internal: readonly { wire_number: number; message: string }[];
}

const table: readonly (readonly [string, EtcdErrorDefinition])[] = Object.entries(ETCD_ERRORS);

testWithReference<Reference>('the table is the reference table', 'errors.json', (reference) => {
  const own = new Map(
    table.map(([name, definition]) => [definition.message, { name, definition }]),
  );
  let known = 0;
  for (const error of reference.grpc_errors) {
    if (error.alias_of !== undefined) continue;
    const found = own.get(error.message);
    expect(found?.definition.status, error.name).toBe(error.number);
    expect(found?.name.replaceAll('_', ''), error.name).toBe(
      error.name.replace('ErrGRPC', '').toUpperCase(),
    );
    known++;
  }
  for (const { wire_message: message, wire_number: number } of reference.server_mapping) {
    const found = own.get(message);
    expect(found?.definition.sent ?? found?.definition.status, message).toBe(number);
  }
  const others = new Map([
    // Of Go's bcrypt, which etcd hands on.
    ['bcrypt: password length exceeds 72 bytes', 2] as const,
    ...reference.unmapped_internal.map((error) => [error.message, error.wire_number] as const),
    ...reference.server_mapping.map((error) => [error.wire_message, error.wire_number] as const),
  ]);
  for (const [name, definition] of table.slice(known)) {
    expect(others.get(definition.message), name).toBe(definition.status);
  }
});

test('an error carries the text and the status that is sent, and is found by its text', () => {
  const error = new EtcdError('REQUEST_TOO_MANY_REQUESTS');
  expect(error.message).toBe('etcdserver: too many requests');
  expect(error.status).toBe(2);
  expect(new EtcdError('COMPACTED').status).toBe(11);
  for (const [name, definition] of table) expect(etcdErrorOfMessage(definition.message)).toBe(name);
  expect(etcdErrorOfMessage('no such text')).toBeUndefined();
  expect(isEtcdError(error, 'REQUEST_TOO_MANY_REQUESTS')).toBe(true);
  expect(isEtcdError(error, 'COMPACTED')).toBe(false);
});
