// What is arranged before anything else is loaded, which is why this file imports nothing.
//
// SIGUSR1 would open Node's debugger, to which every user of the machine could connect, and SIGUSR2 would
// end the process. Neither may do anything to a server.
//
// SIGTERM and SIGINT end a process that has not begun to do anything, but not the first one of a container,
// which the kernel spares.

export const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** Undefined while the signals still do what they do to every process. */
let receiver: ((signal: StopSignal) => void) | undefined;

export function takeEarlySignals(): void {
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
  if (process.pid === 1) receiveStopSignals(() => process.exit(0));
}

/** One handler for good: between two, a signal that Node has noted would be lost. */
export function receiveStopSignals(receive: (signal: StopSignal) => void): void {
  const isTaken = receiver !== undefined;
  receiver = receive;
  if (isTaken) return;
  for (const signal of STOP_SIGNALS) process.on(signal, () => receiver?.(signal));
}
