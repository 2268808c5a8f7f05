// Signal handlers, installed before anything else is loaded: this file imports nothing.
//
// SIGUSR1 would open Node's debugger, to which every user of the machine could connect, and SIGUSR2 would
// end the process. Neither may do anything to a server.
//
// SIGTERM and SIGINT end a process that has not begun to do anything, but not the first one of a container,
// which the kernel spares.

export const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** Passes stop signals to `receive`, in place of the previous receiver. */
export type ReceiveStopSignals = (receive: (signal: StopSignal) => void) => void;

/** Until the first call of what it returns, the signals have their default effect. */
export function takeEarlySignals(): ReceiveStopSignals {
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
  let receiver: ((signal: StopSignal) => void) | undefined;
  const receiveStopSignals: ReceiveStopSignals = (receive) => {
    const isTaken = receiver !== undefined;
    receiver = receive;
    if (isTaken) return;
    // One permanent handler: between two, a signal that Node has noted would be lost.
    for (const signal of STOP_SIGNALS) process.on(signal, () => receiver?.(signal));
  };
  if (process.pid === 1) receiveStopSignals(() => process.exit(0));
  return receiveStopSignals;
}
