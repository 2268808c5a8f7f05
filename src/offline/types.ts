// What the work on files needs of its surroundings.

import type { Env } from '../env/index.ts';

/** Time, and the disk that the files are on. */
export type OfflineEnv = Pick<Env, 'clock' | 'timers' | 'disk'>;

/** Told what is done, one line each: constant text and fields. */
export type Report = (text: string, fields: Readonly<Record<string, string | number>>) => void;
