// `/debug/vars`, in the form of Go's package expvar: an object with a variable per line, in order of
// their names. Of `memstats` only what V8 has too.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { getHeapStatistics } from 'node:v8';
import { readProcessUsage } from '../../env/index.ts';
import { type RawNode, statusToJson } from '../../raft/index.ts';
import { allowGet, respond } from './respond.ts';

export interface DebugVarsParts {
  readonly node: Pick<RawNode, 'status'>;
}

export async function answerDebugVars(
  { node }: DebugVarsParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!allowGet(request, response)) return;
  const { maxFiles } = await readProcessUsage();
  const variables = {
    cmdline: JSON.stringify(process.argv.slice(1)),
    file_descriptor_limit: JSON.stringify(maxFiles ?? 0),
    memstats: JSON.stringify(memoryStatistics()),
    'raft.status': statusToJson(node.status()),
  };
  const lines = Object.entries(variables).map(
    ([name, value]) => `${JSON.stringify(name)}: ${value}`,
  );
  respond(response, 200, 'application/json; charset=utf-8', `{\n${lines.join(',\n')}\n}\n`);
}

/** By Go's names. */
function memoryStatistics(): Record<string, number> {
  const heap = getHeapStatistics();
  return {
    Alloc: heap.used_heap_size,
    Sys: heap.total_heap_size + heap.external_memory + heap.malloced_memory,
    HeapAlloc: heap.used_heap_size,
    HeapSys: heap.total_heap_size,
    HeapIdle: heap.total_heap_size - heap.used_heap_size,
    HeapInuse: heap.used_heap_size,
  };
}
