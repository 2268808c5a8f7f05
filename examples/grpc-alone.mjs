// A gRPC service and its client, of bytes: any codec may make and read the messages.
//
//     node examples/grpc-alone.mjs

import { createNodeEnv } from 'tetcd/env';
import {
  BYTES_ENCODER,
  createChannel,
  createServer,
  GrpcStatusError,
  listen,
  STATUS,
  socketConnect,
} from 'tetcd/grpc';

const { clock, timers, entropy } = createNodeEnv();
const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
const decode = (/** @type {Uint8Array} */ bytes) => new TextDecoder().decode(bytes);

const server = createServer({ clock, timers });
server.unary('/example.Greeter/Greet', (call, request) => {
  const name = decode(request); // the bytes are the handler's during this call only
  if (name === '') call.fail(STATUS.INVALID_ARGUMENT, 'a name is needed');
  else call.reply(BYTES_ENCODER, encode(`hello, ${name}`));
});
server.stream('/example.Greeter/Echo', (call) => ({
  onMessage: (message) => void call.writeBytes(message.slice()),
  onEnd: () => call.end(),
  onCancel: () => undefined,
  onDrain: () => undefined,
}));
const port = await listen({ address: { host: '127.0.0.1', port: 0 }, http2: server });

const { host, port: number } = port.address;
const channel = createChannel({
  endpoints: [{ host, port: number, authority: `${host}:${number}` }],
  connect: socketConnect(),
  ...{ clock, timers, entropy },
});
const greet = async (/** @type {string} */ name) =>
  decode(await channel.request('/example.Greeter/Greet', BYTES_ENCODER, encode(name)));
console.log(await greet('world'));
await greet('').catch((/** @type {unknown} */ error) => {
  if (error instanceof GrpcStatusError) console.log(`${error.code}: ${error.message}`);
});

await new Promise((resolve) => {
  const stream = channel.stream('/example.Greeter/Echo', {
    onMessage: (bytes) => console.log('echo:', decode(bytes)),
    onStatus: resolve,
    onDrain: () => undefined,
  });
  stream.writeBytes(encode('one'));
  stream.writeBytes(encode('two'));
  stream.end();
});
channel.close();
await port.close();
server.close();
