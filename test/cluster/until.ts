// Waiting for a state of other processes that nothing announces: asked again until it holds.

const PAUSE_MS = 25;
const TIMEOUT_MS = 30_000;

/** Resolves with the first defined answer of `look`; rejects after `timeoutMs`, naming `what`. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs: number = TIMEOUT_MS,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await look();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await pause(PAUSE_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
