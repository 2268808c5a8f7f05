import { describe, expect, test } from 'vitest';
import { checkPeerUrls } from './peer-urls.ts';

describe('peer URLs', () => {
  test.each([
    'http://127.0.0.1:2380',
    'https://a.example:2380',
    'HTTP://a:1',
    'http://[::1]:2380',
    'http://a:',
    ' http://a:1 ',
    'unix:///run/a.sock',
    'unixs://a',
  ])('%j will do', (url) => {
    expect(() => checkPeerUrls([url])).not.toThrow();
  });

  test.each([
    ['', 'URL scheme must be http, https, unix, or unixs: '],
    ['foo', 'URL scheme must be http, https, unix, or unixs: foo'],
    ['b:1', 'URL scheme must be http, https, unix, or unixs: b:1'],
    [':1', 'parse ":1": missing protocol scheme'],
    ['127.0.0.1:1', 'parse "127.0.0.1:1": first path segment in URL cannot contain colon'],
    ['http://a', 'URL address does not have the form "host:port": http://a'],
    ['http:a:1', 'URL address does not have the form "host:port": http:a:1'],
    ['http://a:1/', 'URL must not contain a path: http://a:1/'],
    ['http://a:x', 'parse "http://a:x": invalid port ":x" after host'],
  ])('%j will not', (url, message) => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT', message });
    expect(() => checkPeerUrls(['http://a:1', url])).toThrow(refused);
  });

  test('are needed', () => {
    expect(() => checkPeerUrls([])).toThrow('no valid URLs given');
  });
});
