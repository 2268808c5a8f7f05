// The public interface as text: what each entry of the package exports, declaration by declaration,
// without comments. Checked in under api/, so that a change of it is seen in the diff.
//
//     npm run api            writes api/*.md from dist/types, as `npm run build` left them
//
// Works on declarations as the compiler writes them: statements that begin in the first column.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const types = join(repository, 'dist/types');

/** Comments; text within quotes is passed over. */
const COMMENT = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
const withoutComments = (text) =>
  text.replace(COMMENT, (found) => (/^["']/.test(found) ? found : found.replace(/[^\n]/g, '')));

const BRACED = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface) /;

/** Statements of a file, each with its comments. */
function statementsOf(text) {
  const lines = text.split('\n');
  const plain = withoutComments(text).split('\n');
  const statement = (from, at) =>
    plain
      .slice(from, at + 1)
      .join('\n')
      .trim();
  const statements = [];
  let from = 0;
  let depth = 0;
  for (const [at, line] of plain.entries()) {
    for (const [sign] of line.matchAll(/[{}()[\]]/g)) depth += '{(['.includes(sign) ? 1 : -1;
    // A class or interface ends with its brace, everything else with a semicolon.
    const ends = /;\s*$/.test(line) || (/\}\s*$/.test(line) && BRACED.test(statement(from, at)));
    if (depth !== 0 || !ends) continue;
    statements.push(
      lines
        .slice(from, at + 1)
        .join('\n')
        .trim(),
    );
    from = at + 1;
  }
  return statements;
}

const DECLARED =
  /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const) (\w+)/;
const LIST = /^(export|import) (?:type )?\{([^}]*)\}(?: from '([^']+)')?;$/;
const files = new Map();

/** What a file declares, and where its other names come from. */
function fileOf(path) {
  let file = files.get(path);
  if (file !== undefined) return file;
  file = {
    declared: new Map(),
    passedOn: new Map(),
    imported: new Map(),
    stars: [],
    spaces: new Map(),
  };
  files.set(path, file);
  const at = (target) => normalize(join(dirname(path), target.replace(/\.js$/, '.d.ts')));
  for (const statement of statementsOf(readFileSync(path, 'utf8'))) {
    const plain = withoutComments(statement).trim();
    const list = LIST.exec(plain);
    const star = /^export \* (?:as (\w+) )?from '([^']+)';$/.exec(plain);
    const name = DECLARED.exec(plain)?.[1];
    if (list !== null) {
      const [, word, names, from] = list;
      for (const item of names
        .split(',')
        .map((each) => each.trim())
        .filter((each) => each !== '')) {
        const [inner, outer = inner] = item.replace(/^type /, '').split(' as ');
        const target = { name: inner, path: from?.startsWith('.') ? at(from) : undefined };
        file[word === 'export' ? 'passedOn' : 'imported'].set(outer, target);
      }
    } else if (star !== null) {
      if (star[1] === undefined) file.stars.push(at(star[2]));
      else file.spaces.set(star[1], at(star[2]));
    } else if (name !== undefined) {
      const before = file.declared.get(name);
      const isExported = plain.startsWith('export ');
      file.declared.set(name, {
        text: before === undefined ? statement : `${before.text}\n${statement}`,
        isExported: isExported || before?.isExported === true,
      });
    }
  }
  return file;
}

/** Names that a file exports. */
function exportsOf(path) {
  const { declared, passedOn, spaces, stars } = fileOf(path);
  const own = [...declared].filter(([, { isExported }]) => isExported).map(([name]) => name);
  return new Set([
    ...own,
    ...passedOn.keys(),
    ...spaces.keys(),
    ...stars.flatMap((star) => [...exportsOf(star)]),
  ]);
}

/** Where a name is declared: `{ path, name }`; a namespace is `{ path, name, space }`. */
function originOf(path, name) {
  const { declared, passedOn, imported, spaces, stars } = fileOf(path);
  if (declared.has(name)) return { path, name };
  if (spaces.has(name)) return { path, name, space: spaces.get(name) };
  const target = passedOn.get(name) ?? imported.get(name);
  if (target?.path !== undefined) return originOf(target.path, target.name);
  if (target !== undefined && imported.has(target.name) && target.name !== name)
    return originOf(path, target.name);
  for (const star of stars) {
    const found = exportsOf(star).has(name) ? originOf(star, name) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

const keyOf = ({ path, name }) => `${relative(types, path)} ${name}`;

/** Names that a declaration needs of this package, by where they are declared. */
function neededBy({ path, name }) {
  const { declared, imported } = fileOf(path);
  const words = new Set(withoutComments(declared.get(name).text).match(/\w+/g));
  words.delete(name);
  return [...words]
    .filter((word) => declared.has(word) || imported.get(word)?.path !== undefined)
    .flatMap((word) => originOf(path, word) ?? []);
}

/** The report of one entry, and its exports without a comment. */
export function reportOf(entry) {
  const path = join(types, `entry/${entry}.d.ts`);
  const origins = [...exportsOf(path)]
    .sort()
    .map((name) => ({ as: name, ...originOf(path, name) }));
  const isPublic = new Set(origins.map(keyOf));
  const undocumented = [];
  const parts = [];
  const hidden = new Set();
  for (const origin of origins) {
    if (origin.space !== undefined) {
      parts.push(`export * as ${origin.as} from '${relative(types, origin.space)}';`);
      continue;
    }
    const { text } = fileOf(origin.path).declared.get(origin.name);
    if (!text.startsWith('/**')) undocumented.push(origin.as);
    parts.push(
      withoutComments(text)
        .replace(/[ \t]*\n(?:[ \t]*\n)+/g, '\n')
        .trim(),
    );
    for (const needed of neededBy(origin)) {
      if (needed.space === undefined && !isPublic.has(keyOf(needed))) hidden.add(keyOf(needed));
    }
  }
  return { text: pageOf(entry, parts, [...hidden].sort()), undocumented };
}

function pageOf(entry, parts, hidden) {
  const lines = [`# ${entry === 'tetcd' ? 'tetcd' : `tetcd/${entry}`}`, ''];
  lines.push('Made by `npm run api`; compared by `test/api-report.test.ts`.', '');
  lines.push('```ts', parts.join('\n\n'), '```');
  if (hidden.length > 0) lines.push('', 'Used in these, and not exported here:', '');
  for (const key of hidden) lines.push(`- \`${key}\``);
  return `${lines.join('\n')}\n`;
}

/** By the name of the entry's file. */
export function reports() {
  const entries = readdirSync(join(types, 'entry')).map((name) => name.slice(0, -'.d.ts'.length));
  return new Map(entries.sort().map((entry) => [entry, reportOf(entry)]));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = join(repository, 'api');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const [entry, { text }] of reports()) writeFileSync(join(target, `${entry}.md`), text);
}
