// A configuration file, read as YAML 1.1 with the types that etcd's YAML library knows.

import { parse, YAMLParseError } from 'yaml';
import { utf8FromBytes } from '../../base/index.ts';
import type { FileValue } from '../../server/index.ts';
import { readFailure, readFile } from '../shell/read-file.ts';

/** What the file holds, or in etcd's words why it cannot be read; of YAML that is none, in our own. */
export async function readConfigFile(
  path: string,
): Promise<{ readonly document: FileValue } | { readonly error: string }> {
  let text: string;
  try {
    text = utf8FromBytes(await readFile(path));
  } catch (error) {
    return { error: readFailure(path, error) };
  }
  try {
    return { document: documentOf(text) };
  } catch (error) {
    if (!(error instanceof YAMLParseError) && !(error instanceof ReferenceError)) throw error;
    const at = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    const place = at === undefined ? '' : `line ${at}: `;
    return { error: `error converting YAML to JSON: yaml: ${place}${firstLine(error.message)}` };
  }
}

/** Without the place, and the line that is quoted below. */
function firstLine(message: string): string {
  return message.split('\n')[0]!.replace(/ at line \d+, column \d+:$/, '');
}

/** An alias may stand for much: so many nodes of it at most. */
const ALIAS_COUNT_MAX = 100;

/** Tags of YAML 1.1 that etcd's library reads as texts. */
const TEXT_TAGS: ReadonlySet<string> = new Set(['tag:yaml.org,2002:timestamp']);

function documentOf(text: string): FileValue {
  return parse(text, {
    version: '1.1',
    intAsBigInt: true,
    // The last one counts.
    uniqueKeys: false,
    maxAliasCount: ALIAS_COUNT_MAX,
    customTags: (tags) =>
      tags.filter(
        (tag) => typeof tag === 'string' || !(TEXT_TAGS.has(tag.tag) || tag.format === 'TIME'),
      ),
  }) as FileValue;
}
