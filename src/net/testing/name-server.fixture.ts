// A name server on loopback, for SRV records: answers what it is told, and refuses nothing.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** By the name asked for: records, a response code (RFC 1035), or no answer at all. */
export type Answers = Readonly<Record<string, readonly SrvRecord[] | number | 'silence'>>;

const HEADER_BYTES = 12;
const TYPE_SRV = 33;
const CLASS_IN = 1;
const NXDOMAIN = 3;

export class NameServer {
  /** `address:port`. */
  readonly address: string;
  readonly #socket: Socket;

  static async start(answers: Answers): Promise<NameServer> {
    const socket = createSocket('udp4');
    socket.on('message', (question, from) => {
      const answer = answerTo(question, answers);
      if (answer !== undefined) socket.send(answer, from.port, from.address);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new NameServer(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.address = `127.0.0.1:${socket.address().port}`;
  }

  close(): void {
    this.#socket.close();
  }
}

function answerTo(question: Buffer, answers: Answers): Buffer | undefined {
  const { name, end } = nameAt(question, HEADER_BYTES);
  const given = answers[name.toLowerCase()] ?? NXDOMAIN;
  if (given === 'silence') return undefined;
  const code = typeof given === 'number' ? given : 0;
  const records = typeof given === 'number' ? [] : given;
  const header = Buffer.alloc(HEADER_BYTES);
  question.copy(header, 0, 0, 2);
  // A response, recursion asked for and available.
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const asked = question.subarray(HEADER_BYTES, end + 4);
  return Buffer.concat([header, asked, ...records.map(encoded)]);
}

/** Labels, each after its length; compression does not occur in a question. */
function nameAt(message: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = message[at++]!; length > 0; length = message[at++]!) {
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
  return { name: labels.join('.'), end: at };
}

function encoded({ priority, weight, port, target }: SrvRecord): Buffer {
  const labels = target.split('.').map((label) => Buffer.from(`\0${label}`, 'latin1'));
  for (const label of labels) label[0] = label.length - 1;
  const name = Buffer.concat([...labels, Buffer.from([0])]);
  const record = Buffer.alloc(18);
  // The name is that of the question.
  record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  record.writeUInt16BE(TYPE_SRV, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(60, 6);
  record.writeUInt16BE(6 + name.length, 10);
  record.writeUInt16BE(priority, 12);
  record.writeUInt16BE(weight, 14);
  record.writeUInt16BE(port, 16);
  return Buffer.concat([record, name]);
}
