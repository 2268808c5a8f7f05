// What every operation of a simulated disk goes through: it is numbered, shown to the test, made to
// fail if the test says so, and completed later.

import { ERROR_CODES, invariant, type Random, TetcdError } from '../../base/index.ts';
import { TRACE_LENGTH_MAX } from './limits.ts';

/** The operations of a disk. */
export type OperationKind =
  | 'create'
  | 'write'
  | 'zeroFill'
  | 'truncate'
  | 'sync'
  | 'rename'
  | 'link'
  | 'remove'
  | 'makeDirectory'
  | 'syncDirectory'
  // The rest changes nothing: no effects.
  | 'open'
  | 'lock'
  | 'read';

const NO_EFFECTS: ReadonlySet<OperationKind> = new Set(['open', 'lock', 'read']);

/** One operation of a simulated disk, as `intercept` and `trace` show it. */
export interface DiskOperation {
  readonly kind: OperationKind;
  readonly path: string;
  /** Where in the file; 0 if that means nothing. For `truncate`, the new size. */
  readonly position: number;
  /** Bytes read or written; 0 if that means nothing. */
  readonly size: number;
  /** Effects count from 1; 0 for an operation that changes nothing. */
  readonly effect: number;
}

/** DISK_FULL, or DISK_FAILED. A write that fails has written any part of its bytes. */
export type DiskFault = 'full' | 'failed';

/** Calls back after a simulated delay. */
export type Schedule = (delayMs: number, callback: () => void) => void;

/** Simulated time of an operation without faults: below this, by chance, in hundredths of a ms. */
const LATENCY_STEPS = 20;

export class Operations {
  intercept: ((operation: DiskOperation) => DiskFault | undefined) | undefined;
  extraLatencyMs: ((operation: DiskOperation) => number) | undefined;
  trace: DiskOperation[] | undefined;
  crashAt: number = Number.POSITIVE_INFINITY;
  dead = false;
  effectCount = 0;
  readonly random: Random;
  readonly #schedule: Schedule;

  constructor(random: Random, schedule: Schedule) {
    this.random = random;
    this.#schedule = schedule;
  }

  assertAlive(what: string, path: string): void {
    if (this.dead)
      throw new TetcdError(ERROR_CODES.CLOSED, `${what} ${path}: the disk has crashed`);
  }

  /** Numbers the operation. Throws CLOSED at the crash and after it, and the fault that the test injects. */
  begin(kind: OperationKind, path: string, position = 0, size = 0): DiskOperation {
    const operation = this.number(kind, path, position, size);
    const fault = this.faultOf(operation);
    if (fault !== undefined) throw fault;
    return operation;
  }

  /** As `begin`, for an operation that looks for faults itself. */
  number(kind: OperationKind, path: string, position: number, size: number): DiskOperation {
    this.assertAlive(kind, path);
    let effect = 0;
    if (!NO_EFFECTS.has(kind)) {
      effect = this.effectCount + 1;
      if (effect >= this.crashAt) this.dead = true;
      this.assertAlive(kind, path);
      this.effectCount = effect;
    }
    const operation: DiskOperation = { kind, path, position, size, effect };
    if (this.trace !== undefined) {
      invariant(this.trace.length < TRACE_LENGTH_MAX, 'SimDisk: the trace is too long');
      this.trace.push(operation);
    }
    return operation;
  }

  faultOf(operation: DiskOperation): TetcdError | undefined {
    const fault = this.intercept?.(operation);
    this.assertAlive(operation.kind, operation.path);
    if (fault === undefined) return undefined;
    if (fault === 'full') return full(operation.kind, operation.path);
    return failed(operation.kind, operation.path, 'simulated failure');
  }

  /** Whether the next operation may be over at once: by chance, unless the test gives it time. */
  mayTakeNoTime(kind: OperationKind, path: string): boolean {
    this.assertAlive(kind, path);
    const next = { kind, path, position: 0, size: 0, effect: this.effectCount + 1 };
    return (this.extraLatencyMs?.(next) ?? 0) === 0 && this.random.below(2) === 0;
  }

  /**
   * Completes an operation later: `action`, done then, gives the result. Rejects if the disk has
   * crashed in between.
   */
  later<T>(operation: DiskOperation, action: () => T): Promise<T> {
    const delayMs =
      this.random.below(LATENCY_STEPS) / 100 + (this.extraLatencyMs?.(operation) ?? 0);
    return new Promise((resolve, reject) => {
      this.#schedule(delayMs, () => {
        try {
          this.assertAlive(operation.kind, operation.path);
          resolve(action());
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}

export function full(what: string, path: string): TetcdError {
  return new TetcdError(ERROR_CODES.DISK_FULL, `${what} ${path}: no space left (simulated)`);
}

export function failed(what: string, path: string, reason: string): TetcdError {
  return new TetcdError(ERROR_CODES.DISK_FAILED, `${what} ${path}: ${reason}`);
}

export function locked(path: string): TetcdError {
  return new TetcdError(ERROR_CODES.LOCKED, `lock ${path}: another process uses it`);
}

export function missing(what: string, path: string): TetcdError {
  return new TetcdError(ERROR_CODES.NOT_FOUND, `${what} ${path}: nothing has that name`);
}
