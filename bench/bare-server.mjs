// The least that a server does for a put of 256 B: reads a request, writes so many bytes to a file that was
// filled with zeros before, waits for `fdatasync`, answers. No protocol, one connection.
//
//   node bench/bare-server.mjs FILE      prints its port; ends with its standard input

import { fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';

const FILE_BYTES = 16 * 1024 * 1024;
/** Of the log's record, its frame included. */
const RECORD = Buffer.alloc(392, 1);
/** The frames of an answer to a put. */
const ANSWER = Buffer.alloc(60, 2);

const file = openSync(process.argv[2], 'w');
writeSync(file, Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0);
fsyncSync(file);

let at = 0;
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.on('data', () => {
    if (at + RECORD.length > FILE_BYTES) at = 0;
    writeSync(file, RECORD, 0, RECORD.length, at);
    at += RECORD.length;
    fdatasyncSync(file);
    socket.write(ANSWER);
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
