// Real clock, timers and entropy for the programs of this benchmark.

export const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

export const timers = {
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  atEndOfTurn: (callback) => {
    setImmediate(callback);
  },
  nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
};

export const entropy = { bytes: (count) => crypto.getRandomValues(new Uint8Array(count)) };

export const PATH = '/bench.Echo/Unary';
