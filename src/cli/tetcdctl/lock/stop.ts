// Waiting for a signal to the process.

/** Resolves when the signal is aborted. */
export async function aborted(signal: AbortSignal): Promise<'aborted'> {
  if (!signal.aborted) {
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true });
    });
  }
  return 'aborted';
}
