// What is arranged before anything else is loaded, which is why this file imports nothing.
//
// SIGUSR1 would open Node's debugger, to which every user of the machine could connect, and SIGUSR2 would
// end the process. Neither may do anything to a server.
//
// SIGTERM and SIGINT end a process that has not begun to do anything, but not the first one of a container,
// which the kernel spares.

export function takeEarlySignals(): void {
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
  if (process.pid !== 1) return;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
}
