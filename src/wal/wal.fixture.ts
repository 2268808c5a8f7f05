// Helpers for tests of the log.

import { bytesFromLatin1, type Random, type TetcdError } from '../base/index.ts';
import type { Env } from '../env/index.ts';
import { createSimEnv, type SimDisk, type SimEnv } from '../env/sim/index.ts';
import { type raftpb, walpb } from '../protocol/index.ts';
import type { Wal, WalAppend, WalEnv } from './index.ts';

export const DIRECTORY = '/member/wal';
export const METADATA = bytesFromLatin1('somemetadata');

/** An env with the directory that holds the log, durable. */
export async function newEnv(seed: number): Promise<SimEnv> {
  const env = createSimEnv({ seed });
  await prepareDirectory(env.disk);
  return env;
}

export async function prepareDirectory(disk: SimDisk): Promise<void> {
  await disk.makeDirectory('/member');
  await disk.syncDirectory('/');
}

/** An env around a disk of its own, for crash tests: time is real but never read. */
export function envOf(disk: SimDisk): WalEnv {
  const { clock, timers } = createSimEnv({ seed: 0 });
  return { clock, timers, disk };
}

export function entry(index: number, term: number, data: string | Uint8Array = ''): raftpb.Entry {
  return { type: 0, term, index, data: typeof data === 'string' ? bytesFromLatin1(data) : data };
}

export function state(term: number, commit: number, vote = 1n): raftpb.HardState {
  return { term, vote, commit };
}

export function snapshot(index: number, term: number): walpb.Snapshot {
  const confState = {
    voters: [1n],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  return walpb.SnapshotCodec.create({ index, term, confState });
}

/** Appends and waits until it is done. */
export function save(
  wal: Wal,
  entries: readonly raftpb.Entry[],
  hardState?: raftpb.HardState,
  mustSync = true,
  isAlone = true,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const append: WalAppend = {
      entries,
      hardState,
      mustSync,
      isAlone,
      complete: (error: TetcdError | undefined) =>
        error === undefined ? resolve() : reject(error),
    };
    wal.append(append);
  });
}

/** Bytes without a run of zeros, so that no sector of a record looks torn. */
export function randomBytes(random: Random, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, () => 1 + random.below(255));
}

export function plainEntries(entries: readonly raftpb.Entry[]): string[] {
  return entries.map(({ index, term, type, data }) => {
    return `${index}/${term}/${type}/${Buffer.from(data).toString('latin1')}`;
  });
}

export type { Env };
