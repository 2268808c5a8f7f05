// The flags of a member process as these tests start it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { serverUnderTest } from '../helpers/member.ts';
import { need } from '../helpers/real-etcd.ts';
import { freePort, ServerProcess, type SpawnOptions } from '../helpers/server-process.ts';

export interface Addresses {
  readonly client: number;
  readonly peer: number;
}

export async function freeAddresses(): Promise<Addresses> {
  return { client: await freePort(), peer: await freePort() };
}

/** `more` comes last and wins. */
export function flagsOf(
  directory: string,
  { client, peer }: Addresses,
  more: readonly string[] = [],
): string[] {
  return [
    '--name=m1',
    `--data-dir=${join(directory, 'data')}`,
    `--listen-client-urls=http://127.0.0.1:${client}`,
    `--advertise-client-urls=http://127.0.0.1:${client}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-cluster=m1=http://127.0.0.1:${peer}`,
    ...more,
  ];
}

export function startProcess(flags: readonly string[], options?: SpawnOptions): ServerProcess {
  const program = need(serverUnderTest());
  return new ServerProcess(program.name, [...program.command, ...flags], options);
}

/** A moment that a test has drawn by chance. */
export function after(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** Other processes do not announce that they made a file. */
export async function waitForFile(path: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!existsSync(path)) {
    if (performance.now() > deadline) throw new Error(`${path} does not appear`);
    await after(10);
  }
}
