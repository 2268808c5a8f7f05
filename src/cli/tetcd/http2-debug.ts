// GODEBUG=http2debug=1 or 2: frames and header fields of clients' connections on standard error, with the
// time before them, as Go's log has it. Lines that it does not take are lost, as those of the log.

import { type ByteStream, type Clock, LineOutputs } from '../../env/index.ts';
import { tracedStream } from '../../grpc/index.ts';

/** A function that wraps a connection in its trace. */
export function http2Tracer(level: 1 | 2, clock: Clock): (stream: ByteStream) => ByteStream {
  const stamped = (line: string): string => `${localTime(clock.wallMs())} ${line}\n`;
  const outputs = new LineOutputs(['stderr'], (count) => stamped(`http2: ${count} lines dropped`));
  const print = (line: string): void => outputs.write(stamped(line), false);
  return (stream) => tracedStream(stream, { level, print });
}

function localTime(wallMs: number): string {
  const eastMs = -new Date(wallMs).getTimezoneOffset() * 60_000;
  return new Date(wallMs + eastMs)
    .toISOString()
    .slice(0, 19)
    .replaceAll('-', '/')
    .replace('T', ' ');
}
