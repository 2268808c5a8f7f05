import { expect, test } from 'vitest';
import { etcdserverpb } from '../../../client/index.ts';
import { MemoryIo } from '../../shell/memory-io.fixture.ts';
import { FieldsPrinter } from './fields.ts';

test('the status of a member has each field once', () => {
  const io = new MemoryIo();
  const header = etcdserverpb.ResponseHeaderCodec.create({ raftTerm: 7 });
  const status = etcdserverpb.StatusResponseCodec.create({
    header,
    raftTerm: 7,
    raftIndex: 9,
    version: '3.7.1',
  });
  new FieldsPrinter(io, false).endpointStatus([{ endpoint: 'a:1', status }]);
  const names = io.outText.split('\n').flatMap((line) => /^"(\w+)" : /.exec(line)?.[1] ?? []);
  expect(names).toContain('RaftTerm');
  expect(names).toEqual([...new Set(names)]);
});
