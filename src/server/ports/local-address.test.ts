import { expect, test } from 'vitest';
import { createNodeNetwork } from '../../net/index.ts';
import { DEFAULT_FEATURE_GATES } from '../config/feature-gates.ts';
import { memberLocalAddress } from './local-address.ts';

function found(urls: readonly string[], open = true): { address?: string; lines: string[] } {
  const lines: string[] = [];
  const enabled = { ...DEFAULT_FEATURE_GATES.enabled, SetMemberLocalAddr: open };
  const config = { advertisePeerUrls: urls, featureGates: { enabled, text: '' } };
  const note = (text: string): void => void lines.push(text);
  const address = memberLocalAddress(config, { info: note, warn: note });
  return { ...(address === undefined ? {} : { address }), lines };
}

test.each([
  [['http://10.1.2.3:2380'], '10.1.2.3'],
  [['http://127.0.0.1:2380', 'http://m1:2380', 'https://[fd00::1]:2380'], 'fd00::1'],
  [['http://0.0.0.0:2380', 'http://10.1.2.4:2380', 'http://10.1.2.5:2380'], '10.1.2.4'],
  [['http://[::1]:2380', 'http://[::]:2380', 'http://127.1.2.3:2380', 'http://m1:2380'], undefined],
  [['unix://socket:1'], undefined],
])('of %j: %s', (urls, address) => {
  const { lines, ...rest } = found(urls);
  expect(rest.address).toBe(address);
  expect(lines).toEqual([
    'searching for a suitable member local address in AdvertisePeerURLs',
    address === undefined
      ? 'unable to set a member local address due to lack of suitable local addresses'
      : 'setting member local address',
  ]);
});

test('nothing while the gate is closed', () => {
  expect(found(['http://10.1.2.3:2380'], false)).toEqual({ lines: [] });
});

test('connections come from that address', async () => {
  let from: string | undefined;
  const network = createNodeNetwork(undefined, { localAddress: '127.0.0.9' });
  const listener = await network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    from = stream.remoteAddress;
    stream.destroy();
  });
  const stream = await network.connect({ host: '127.0.0.1', port: listener.address.port }, 5000);
  stream.destroy();
  await listener.close();
  expect(from).toMatch(/^127\.0\.0\.9/);
});
