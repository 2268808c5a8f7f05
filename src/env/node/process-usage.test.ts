import { expect, test } from 'vitest';
import { limitIn, octetsIn, readProcessUsage } from './process-usage.ts';

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units     
Max open files            20000                unlimited            files     
Max address space         unlimited            unlimited            bytes     
`;

const NETSTAT = `TcpExt: SyncookiesSent InOctets
TcpExt: 1 2
IpExt: InNoRoutes InOctets OutOctets
IpExt: 0 8600415543 8296280825
`;

test('limits', () => {
  expect(limitIn(LIMITS, 'Max open files')).toBe(20_000);
  expect(limitIn(LIMITS, 'Max address space')).toBe(2 ** 64);
  expect(limitIn(LIMITS, 'Max locked memory')).toBe(undefined);
  expect(limitIn('Max open files  ?', 'Max open files')).toBe(undefined);
  expect(limitIn('', 'Max open files')).toBe(undefined);
});

test('octets', () => {
  expect(octetsIn(NETSTAT, 'InOctets')).toBe(8_600_415_543);
  expect(octetsIn(NETSTAT, 'OutOctets')).toBe(8_296_280_825);
  expect(octetsIn(NETSTAT, 'Other')).toBe(undefined);
  expect(octetsIn('IpExt: InOctets\n', 'InOctets')).toBe(undefined);
});

test.runIf(process.platform === 'linux')('this process', async () => {
  const usage = await readProcessUsage();
  expect(usage.openFiles).toBeGreaterThan(2);
  expect(usage.maxFiles).toBeGreaterThan(usage.openFiles!);
  expect(usage.threads).toBeGreaterThan(1);
});
