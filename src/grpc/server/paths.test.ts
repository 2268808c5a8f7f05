// A method is found by its exact path, before anything is asked about the caller.

import { expect, test } from 'vitest';
import { data, headers, join, message, rawServer, request } from '../testing/raw-peer.fixture.ts';
import { addMethods } from '../testing/rig.fixture.ts';

const PATH = '/test.Echo/Hang';

test.each([
  'test.Echo/Hang',
  '//test.Echo/Hang',
  '/test.Echo//Hang',
  '/test.Echo/Hang/',
  '/test.Echo/Hang?a',
  '/test.Echo/Han%67',
  '/test.Echo%2fHang',
  '/TEST.ECHO/HANG',
  '/test.Echo/Hang ',
  '/./test.Echo/Hang',
  '/../test.Echo/Hang',
  'http://a/test.Echo/Hang',
  '*',
  '/',
  '/__proto__/toString',
])('CVE-2026-33186, GHSA-p77j-4mvh-x3m3: no handler is called for %j', (path) => {
  let hanging: ReturnType<typeof addMethods> = [];
  const peer = rawServer((server) => {
    hanging = addMethods(server);
  });
  const ask = (id: number, asked: string) =>
    peer.send(join(headers(id, request([':path', asked])), data(id, message([1]))));
  ask(1, path);
  expect(hanging).toEqual([]);
  const [refusal] = peer.describe();
  expect(refusal).toMatch(/^(?:HEADERS 1 .*grpc-status=12 |RST_STREAM 1 PROTOCOL_ERROR)/);
  ask(3, PATH);
  expect(hanging).toHaveLength(1);
});
