// What Linux tells of this process in `/proc/self`. On other systems nothing is known.

import { readdir, readFile } from 'node:fs';

/** Undefined: not known here. */
export interface ProcessUsage {
  readonly openFiles: number | undefined;
  /** Soft limit. */
  readonly maxFiles: number | undefined;
  /** Soft limit of the address space in bytes; 2^64 without one. */
  readonly virtualMemoryMaxBytes: number | undefined;
  /** Of the network namespace, not of the process alone, as in Prometheus' libraries. */
  readonly networkReceivedBytes: number | undefined;
  readonly networkSentBytes: number | undefined;
  readonly threads: number | undefined;
}

/** Never rejects. */
export async function readProcessUsage(): Promise<ProcessUsage> {
  const [limits, netstat, status, openFiles] = await Promise.all([
    read('/proc/self/limits'),
    read('/proc/self/net/netstat'),
    read('/proc/self/status'),
    countOpenFiles(),
  ]);
  return {
    openFiles,
    maxFiles: limitIn(limits, 'Max open files'),
    virtualMemoryMaxBytes: limitIn(limits, 'Max address space'),
    networkReceivedBytes: octetsIn(netstat, 'InOctets'),
    networkSentBytes: octetsIn(netstat, 'OutOctets'),
    threads: numberOf(/^Threads:\s+(\d+)$/m.exec(status)?.[1]),
  };
}

/** Empty if it cannot be read. */
function read(path: string): Promise<string> {
  return new Promise((resolve) => {
    readFile(path, 'latin1', (error, text) => resolve(error ? '' : text));
  });
}

function countOpenFiles(): Promise<number | undefined> {
  return new Promise((resolve) => {
    // The directory itself is open while it is listed.
    readdir('/proc/self/fd', (error, names) => resolve(error ? undefined : names.length - 1));
  });
}

/** A row is the name, the soft limit, the hard one and the unit, in columns. */
export function limitIn(limits: string, name: string): number | undefined {
  const row = limits.split('\n').find((line) => line.startsWith(name));
  const soft = row?.slice(name.length).trim().split(/\s+/)[0];
  return soft === 'unlimited' ? 2 ** 64 : numberOf(soft);
}

/** A line of names and one of numbers, both after `IpExt:`. */
export function octetsIn(netstat: string, name: string): number | undefined {
  const [names, values] = netstat.split('\n').filter((line) => line.startsWith('IpExt:'));
  const at = names?.split(' ').indexOf(name) ?? -1;
  return at < 0 ? undefined : numberOf(values?.split(' ')[at]);
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
