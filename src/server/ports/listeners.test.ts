import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createServer } from '../../grpc/index.ts';
import { createNodeEnv } from '../../net/index.ts';
import { simConfig } from '../testing/sim-member.fixture.ts';
import { Listeners } from './listeners.ts';

const log = { debug: () => {}, info: () => {} } as never;

test.skipIf(process.platform === 'win32')(
  'a Unix socket that a killed process left behind is replaced',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tetcd-listeners-'));
    const path = join(directory, 's.sock');
    writeFileSync(path, '');
    const env = createNodeEnv();
    const grpc = createServer({ timers: env.timers, clock: env.clock });
    const listeners = await Listeners.bind({
      config: simConfig({
        listenClientUrls: [{ text: `unix://${path}`, scheme: 'unix', host: '', port: 0, path }],
        listenMetricsUrls: [],
      }),
      log,
      env,
    });
    listeners.serveClients(
      grpc,
      (_, response) => void response.end('here'),
      () => false,
    );
    const body = await new Promise<string>((resolve, reject) => {
      const asked = request({ socketPath: path, path: '/', agent: false }, (response) => {
        response.setEncoding('utf8').on('data', resolve);
      });
      asked.on('error', reject).end();
    });
    expect(body).toBe('here');
    await listeners.close();
    grpc.close();
    rmSync(directory, { recursive: true });
  },
);
