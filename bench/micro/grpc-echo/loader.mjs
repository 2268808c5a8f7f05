// The load of one case: `connections` channels, each with `concurrent` calls under way, until `calls`
// have been answered. Every answer is compared with its question; any status but OK ends the run.

import { BYTES_ENCODER, createChannel } from '../../../dist/grpc/index.js';
import { socketConnect } from '../../../dist/net/index.js';
import { clock, entropy, PATH, timers } from './effects.mjs';

/** One call after another; a record, not a closure, per caller. */
class Caller {
  constructor(run, channel, id) {
    this.run = run;
    this.channel = channel;
    this.body = new Uint8Array(run.bytes);
    this.body[0] = id;
    this.turn = 0;
    this.startedMs = 0;
  }

  next() {
    const { body } = this;
    this.turn++;
    body[1] = this.turn;
    body[2] = this.turn >>> 8;
    body[body.length - 1] = this.turn >>> 16;
    this.startedMs = performance.now();
    this.channel.unary(PATH, BYTES_ENCODER, body, this, this.run.options);
  }

  onReply(reply) {
    const { body, run } = this;
    for (let i = 0; i < body.length; i++) {
      if (reply[i] !== body[i]) return run.fail(new Error(`byte ${i} of an answer is wrong`));
    }
    run.checksum = (Math.imul(run.checksum, 31) + reply[1]) | 0;
    run.answered(performance.now() - this.startedMs);
    if (run.left > 0) {
      run.left--;
      this.next();
    }
  }

  onFailure(status) {
    this.run.fail(new Error(`status ${status.code}: ${status.message}`));
  }
}

export async function load({ port, calls, connections, concurrent, bytes, timeoutMs }) {
  const channels = Array.from({ length: connections }, () =>
    createChannel({
      endpoints: [{ host: '127.0.0.1', port }],
      connect: socketConnect(),
      clock,
      timers,
      entropy,
    }),
  );
  const latencies = new Float64Array(calls);
  let done = 0;
  const startedMs = performance.now();
  const checksum = await new Promise((resolve, reject) => {
    const run = {
      bytes,
      options: timeoutMs === undefined ? {} : { timeoutMs },
      left: calls - connections * concurrent,
      checksum: 0,
      fail: reject,
      answered: (ms) => {
        latencies[done++] = ms;
        if (done === calls) resolve(run.checksum);
      },
    };
    for (const channel of channels) {
      for (let i = 0; i < concurrent; i++) new Caller(run, channel, i).next();
    }
  });
  const seconds = (performance.now() - startedMs) / 1000;
  for (const channel of channels) channel.close();
  latencies.sort();
  return {
    checksum,
    requestsPerSecond: calls / seconds,
    p50Ms: latencies[Math.floor(calls * 0.5)],
    p99Ms: latencies[Math.floor(calls * 0.99)],
  };
}
