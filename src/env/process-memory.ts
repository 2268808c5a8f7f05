// The memory of this process. Not part of an Env: only a process that is a member has one.

export interface ProcessMemory {
  /** CPU time of all threads of the process so far, in milliseconds. */
  cpuMs(): number;
  /**
   * Collects garbage, all of it at once, unless so much of the heap is in use that this would be a stall;
   * then the runtime does it at its own pace.
   */
  collect(): void;
  /**
   * Gives back to the system what is free between the buffers of the process, if it is much and if this
   * machine can do it. Resolves when that is done; never rejects.
   */
  trim(): Promise<void>;
}
