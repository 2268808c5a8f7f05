// `tetcdctl snapshot save`: a member's database as a file, with its SHA-256 at the end. It is written beside
// the file under another name and renamed when it is whole and on the disk.

import type { Command } from 'commander';
import { goDuration, humanBytes } from '../../../base/index.ts';
import { type Client, EtcdError, etcdserverpb } from '../../../client/index.ts';
import { errorText } from '../../shell/error-text.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { logLine } from '../../shell/log-line.ts';
import { Progress } from '../../shell/progress.ts';
import { textOfWord } from '../../shell/words.ts';
import type { CommandTree } from '../command.ts';
import type { Session } from '../session.ts';
import { PartFile } from './part-file.ts';

const DESCRIPTION = `Writes the database of one member to a file, followed by its SHA-256. The file
is complete as soon as it has its name; until then it is <filename>.part. Without --command-timeout
there is no time limit.`;

export function addSnapshotSave(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'save',
    usage: '<filename>',
    summary: "write a member's database to a file",
    description: DESCRIPTION,
    run: async ({ io, words, sessionOfEndpoints: open }) => {
      const [word] = words;
      if (word === undefined || words.length !== 1) {
        throw new ExitError(EXIT.BAD_ARGS, 'snapshot save expects one argument <filename>');
      }
      const path = textOfWord(word);
      const version = await save(await open(), path);
      io.out(`Snapshot saved at ${path}\n`);
      if (version !== '') io.out(`Server version ${version}\n`);
    },
  });
}

/** Resolves with the storage version that the member tells; empty from members before 3.6. */
async function save(session: Session, path: string): Promise<string> {
  const { io, endpoints } = session;
  const [endpoint] = endpoints;
  if (endpoint === undefined || endpoints.length !== 1) {
    const all = `[${endpoints.join(' ')}]`;
    const text = `snapshot must be requested to one selected node, not multiple ${all}`;
    throw new ExitError(EXIT.INTERRUPTED, text);
  }
  try {
    const client = await session.clientOf([endpoint], EXIT.INTERRUPTED);
    const part = await PartFile.open(await io.disk(), path);
    try {
      logLine(io, 'info', 'created temporary db file', { path: part.path });
      const version = await download(session, client, endpoint, part);
      await part.commit();
      logLine(io, 'info', 'saved', { path });
      return version;
    } finally {
      await part.discard();
    }
  } catch (error) {
    if (error instanceof ExitError) throw error;
    session.noteFailure(error);
    // As gRPC words it: etcdctl does not translate what ends this stream.
    const status = error instanceof EtcdError ? (error.cause ?? error) : error;
    throw new ExitError(EXIT.INTERRUPTED, errorText(status));
  }
}

async function download(
  { io, limitsIfSet }: Session,
  client: Client,
  endpoint: string,
  part: PartFile,
): Promise<string> {
  const { snapshot } = etcdserverpb.MaintenanceService.methods;
  const startNs = io.monotonicNs();
  const progress = new Progress(io, { label: 'Saving snapshot', show: humanBytes });
  let version = '';
  try {
    for await (const piece of client.callStream(snapshot, {}, limitsIfSet)) {
      if (part.bytes === 0) {
        logLine(io, 'info', 'fetching snapshot', { endpoint });
        version = piece.version;
        progress.total = piece.blob.length + piece.remainingBytes;
      }
      await part.append(piece.blob);
      progress.done = part.bytes;
    }
  } finally {
    progress.end();
  }
  logLine(io, 'info', 'fetched snapshot', {
    endpoint,
    size: humanBytes(part.bytes),
    took: goDuration(io.monotonicNs() - startNs),
    'etcd-version': version,
  });
  return version;
}
