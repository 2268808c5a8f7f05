// The server of one case, in its own process: `server.mjs ours|grpc-js`. Says its port, then answers each
// `usage` message with the CPU it has used.

import { PATH } from './effects.mjs';

const port = await (process.argv[2] === 'ours' ? startOurs() : startGrpcJs());
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send({ cpuUs: user + system, rssBytes: process.memoryUsage.rss() });
});
process.send({ port });

async function startOurs() {
  const { BYTES_ENCODER, createServer } = await import('../../../dist/grpc/index.js');
  const { listen } = await import('../../../dist/net/index.js');
  const { clock, timers } = await import('./effects.mjs');
  const grpc = createServer({ clock, timers });
  grpc.unary(PATH, (call, request) => call.reply(BYTES_ENCODER, request));
  const listener = await listen({ address: { host: '127.0.0.1', port: 0 }, http2: grpc });
  return listener.address.port;
}

async function startGrpcJs() {
  const { default: grpc } = await import('@grpc/grpc-js');
  const same = (bytes) => bytes;
  const server = new grpc.Server();
  server.addService(
    {
      unary: {
        path: PATH,
        requestStream: false,
        responseStream: false,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    },
    { unary: (call, done) => done(null, call.request) },
  );
  return new Promise((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (error, value) =>
      error ? reject(error) : resolve(value),
    );
  });
}
