import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createNodeDisk, createNodeEntropy } from '../../env/index.ts';
import type { ListenUrl } from '../config/index.ts';
import { createLogger } from '../telemetry/log.ts';
import { generatedCertificate } from './generated-certificate.ts';

const YEAR_MS = 365 * 86_400_000;
const NOW_MS = Date.UTC(2030, 0, 1);

let root: string;
let nowMs: number;
let lines: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tetcd-generated-'));
  nowMs = NOW_MS;
  lines = [];
});
afterEach(() => rmSync(root, { recursive: true }));

const directory = (): string => join(root, 'data/fixtures/client');

function generate(years = 1) {
  const clock = { wallMs: () => nowMs, monotonicMs: () => 0 };
  const sink = { write: (line: string) => void lines.push(line) };
  const url = (host: string): ListenUrl => ({ text: '', scheme: 'https', host, port: 1, path: '' });
  return generatedCertificate({
    env: { disk: createNodeDisk(), entropy: createNodeEntropy(), clock },
    log: createLogger({ level: 'info', format: 'json' }, sink, clock, 'test'),
    directory: directory(),
    urls: [url('127.0.0.1'), url('localhost'), url(''), url('127.0.0.1')],
    years,
  });
}

function texts(): unknown[] {
  return lines.splice(0).map((line) => (JSON.parse(line) as { readonly msg: string }).msg);
}

test('is made once, for the hosts, readable by its owner alone whatever the umask', async () => {
  const umask = process.umask(0);
  const pair = await generate(2).finally(() => process.umask(umask));
  expect(pair).toMatchObject({
    certFile: join(directory(), 'cert.pem'),
    keyFile: join(directory(), 'key.pem'),
  });
  const certificate = new X509Certificate(readFileSync(pair.certFile));
  expect(certificate.subjectAltName).toBe('IP Address:127.0.0.1, DNS:localhost');
  expect(Date.parse(certificate.validTo)).toBe(NOW_MS + 2 * YEAR_MS);
  const modes = [join(root, 'data'), directory(), pair.certFile, pair.keyFile].map(
    (path) => statSync(path).mode & 0o777,
  );
  expect(modes).toEqual([0o700, 0o700, 0o600, 0o600]);
  expect(readdirSync(directory()).sort()).toEqual(['cert.pem', 'key.pem']);
  expect(texts()).toEqual([
    'automatically generate certificates',
    'created key file',
    'created cert file',
  ]);
  nowMs += YEAR_MS;
  await generate();
  expect(readFileSync(pair.certFile, 'utf8')).toBe(certificate.toString());
  expect(texts()).toEqual([]);
});

test('is made again when it has expired, and when half of it is missing', async () => {
  const { certFile, keyFile } = await generate();
  const first = readFileSync(certFile, 'utf8');
  nowMs += YEAR_MS + 1;
  await generate();
  const second = readFileSync(certFile, 'utf8');
  expect(second).not.toBe(first);
  expect(texts()).toContain('the generated certificate has expired');
  rmSync(certFile);
  await generate();
  const certificate = new X509Certificate(readFileSync(certFile));
  const { createPrivateKey } = await import('node:crypto');
  expect(certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile)))).toBe(true);
});

test('a start that fails takes back what it has made, and only that', async () => {
  const pair = await generate();
  const again = await generate();
  await again.takeBack();
  expect(existsSync(pair.certFile)).toBe(true);
  await pair.takeBack();
  expect(readdirSync(root)).toEqual([]);
});
