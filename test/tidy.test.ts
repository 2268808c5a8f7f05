// The repository polices itself. Works on text: good enough for formatted code, and independent of
// any compiler's interface. Exceptions stand in tidy-allowances.ts and long-functions.txt.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { REPOSITORY } from './helpers/real-etcd.ts';
import { ALLOWANCES, LONG_FILES, PACKAGES } from './tidy-allowances.ts';

/** A folder may import those before it; within a row (see ARCHITECTURE.md), those to its left. */
const ORDER = [
  ...['base', 'protocol', 'raft', 'mvcc', 'lease', 'auth', 'membership', 'env', 'net', 'bbolt'],
  ...[
    'wal',
    'grpc',
    'rpc',
    'gateway',
    'store',
    'peer',
    'client',
    'proxy',
    'offline',
    'server',
    'cli',
    'entry',
  ],
];
/** These have effects, but through `env` and `net` only. */
const WITHOUT_PLATFORM = new Set(['grpc', 'rpc']);
const PURE = new Set(['base', 'protocol', 'raft', 'mvcc', 'lease', 'auth', 'membership']);

const COLUMNS_MAX = 100;
/** No tool wraps comments; a little more than in code is let pass. */
const COMMENT_COLUMNS_MAX = 110;
const LINES_MAX = 600;
const FUNCTION_LINES_MAX = 70;
const FILE_BYTES_MAX = 300_000;

/** What git tracks or, in an unpacked archive, everything but what .gitignore names. */
function listFiles(): string[] {
  if (existsSync(join(REPOSITORY, '.git'))) {
    const git = spawnSync('git', ['ls-files', '-z'], { cwd: REPOSITORY, encoding: 'utf8' });
    const tracked = (git.stdout ?? '').split('\0').filter((path) => path !== '');
    if (git.status === 0) return tracked.filter((path) => existsSync(join(REPOSITORY, path)));
  }
  const patterns = readFileSync(join(REPOSITORY, '.gitignore'), 'utf8').trimEnd().split('\n');
  return walk('', [/^\.git$/, ...patterns.map(ignoredName)]);
}

/** Of a pattern without directories in it, which is all that .gitignore has. */
function ignoredName(pattern: string): RegExp {
  expect(pattern).toMatch(/^[\w.*-]+\/?$/);
  const name = pattern.replace(/\/$/, '').replaceAll('.', '\\.').replaceAll('*', '.*');
  return new RegExp(`^${name}$`);
}

function walk(directory: string, ignored: readonly RegExp[]): string[] {
  return readdirSync(join(REPOSITORY, directory), { withFileTypes: true }).flatMap((entry) => {
    if (ignored.some((name) => name.test(entry.name))) return [];
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
    return entry.isDirectory() ? walk(path, ignored) : [path];
  });
}

const files = listFiles().sort();
const texts = new Map<string, string>();

function textOf(path: string): string {
  let text = texts.get(path);
  if (text === undefined) {
    text = readFileSync(join(REPOSITORY, path), 'utf8');
    texts.set(path, text);
  }
  return text;
}

const code = files.filter((path) => /\.(ts|mjs)$/.test(path) && !path.endsWith('.d.ts'));
const isTest = (path: string): boolean => /\.(test|fixture)\.ts$/.test(path);
const isGenerated = (path: string): boolean => path.startsWith('src/protocol/gen/');
/** What ships. */
const sources = code.filter((path) => path.startsWith('src/') && !isTest(path));
const folderOf = (path: string): string => path.split('/')[1]!;

/** Text with comments and the insides of string literals blanked, line by line as it was. */
function withoutComments(text: string): string {
  const blank = (part: string): string => part.replace(/[^\n]/g, ' ');
  return text.replace(/\/\*[\s\S]*?\*\/|(?<![:'"`\\])\/\/[^\n]*/g, blank);
}

interface Import {
  readonly target: string;
  readonly line: number;
}

function importsOf(path: string): Import[] {
  const text = textOf(path);
  const pattern =
    /^(?:import|export)\b[^'";]*?from '([^']+)'|^import '([^']+)'|import\('([^']+)'\)/gm;
  return [...text.matchAll(pattern)].map((match) => ({
    target: (match[1] ?? match[2] ?? match[3])!,
    line: text.slice(0, match.index).split('\n').length,
  }));
}

const usedAllowances = new Set<object>();

function isAllowed(path: string, what: string): boolean {
  const found = ALLOWANCES.find((one) => one.what === what && path.startsWith(one.where));
  if (found !== undefined) usedAllowances.add(found);
  return found !== undefined;
}

/** The one way into another folder; the simulator has its own, for who imports it and no other. */
function isDoor(path: string, target: string): boolean {
  if (target === `src/${folderOf(target)}/index.ts`) return true;
  return path === 'src/entry/sim.ts' && target === 'src/env/sim/index.ts';
}

describe('imports', () => {
  test('follow the order of the folders and go through index.ts', () => {
    const wrong: string[] = [];
    for (const path of sources) {
      const folder = folderOf(path);
      for (const { target, line } of importsOf(path)) {
        const at = `${path}:${line} imports ${target}`;
        if (target.startsWith('.')) {
          const resolved = normalize(join(dirname(path), target)).replaceAll('\\', '/');
          const other = folderOf(resolved);
          if (!resolved.startsWith('src/')) wrong.push(`${at}: outside src`);
          else if (other === folder) continue;
          else if (ORDER.indexOf(other) >= ORDER.indexOf(folder)) wrong.push(`${at}: upward`);
          else if (!isDoor(path, resolved)) wrong.push(`${at}: not its index.ts`);
        } else if (target.startsWith('node:')) {
          if (PURE.has(folder)) wrong.push(`${at}: ${folder} is pure`);
          else if (WITHOUT_PLATFORM.has(folder) && !isAllowed(path, 'platform')) {
            wrong.push(`${at}: ${folder} imports no platform module`);
          }
        } else if (!PACKAGES[folder]?.includes(target)) {
          wrong.push(`${at}: package not listed for ${folder}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test('every folder is in the order, and its project refers to earlier folders only', () => {
    const wrong: string[] = [];
    for (const folder of readdirSync(join(REPOSITORY, 'src'))) {
      if (!ORDER.includes(folder)) wrong.push(`src/${folder} is not in the order`);
      const project = `src/${folder}/tsconfig.json`;
      if (!existsSync(join(REPOSITORY, project))) continue;
      for (const match of textOf(project).matchAll(/"path": "\.\.\/([^"]+)"/g)) {
        if (ORDER.indexOf(match[1]!) >= ORDER.indexOf(folder)) {
          wrong.push(`${project} refers to ${match[1]}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test('rooms of the server use each other in one direction, that of its README', () => {
    const drawing = textOf('src/server/README.md').split('```')[1]!;
    const [, down = '', up = ''] = drawing.match(/(ports\/.*)\n(.*)/) ?? [];
    const roomsIn = (line: string): string[] => line.match(/\w+(?=\/)/g) ?? [];
    const order = [...roomsIn(down), ...roomsIn(up).reverse()];
    const wrong: string[] = [];
    for (const path of sources.filter((one) => /^src\/server\/\w+\//.test(one))) {
      const room = path.split('/')[2]!;
      for (const { target, line } of importsOf(path)) {
        const [, folder, other] = normalize(join(dirname(path), target)).split('/');
        if (!target.startsWith('.') || folder !== 'server' || room === 'embed') continue;
        if (other === room || other === 'limits.ts' || other === 'member-versions.ts') continue;
        if (order.indexOf(room) < 0 || order.indexOf(other!) <= order.indexOf(room)) {
          wrong.push(`${path}:${line} imports ${target}`);
        }
      }
    }
    expect(order).toContain('consensus');
    expect(wrong).toEqual([]);
  });

  test('every source file is imported by another', () => {
    const imported = new Set<string>();
    for (const path of code) {
      if (isTest(path)) continue;
      for (const { target } of importsOf(path)) {
        if (target.startsWith('.')) imported.add(normalize(join(dirname(path), target)));
      }
    }
    const bundled = textOf('scripts/bundle.mjs').matchAll(/join\(dist, '([^']+)\.js'\)/g);
    const roots = new Set([...bundled].map((match) => `src/${match[1]}.ts`));
    const isRoot = (path: string): boolean => roots.has(path) || folderOf(path) === 'entry';
    const alone = sources.filter(
      (path) => !imported.has(path) && !isRoot(path) && !path.endsWith('/index.ts'),
    );
    expect(alone).toEqual([]);
  });
});

describe('banned names', () => {
  const BANNED: readonly (readonly [string, RegExp])[] = [
    ['clock', /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bhrtime\b/],
    ['dice', /\bMath\.random\b|\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b/],
    ['timer', /\b(?:setTimeout|setInterval|setImmediate)\(|node:timers/],
    ['files', /'node:fs(?:\/promises)?'/],
    ['windows-1252', /TextDecoder\('latin1'\)/],
    ['enum', /^\s*(?:export )?(?:const )?enum /],
    ['unfinished', /\bFIXME\b|\bXXX\b/],
    ['error code as text', /new TetcdError\('|hasCode\([^()]*, '/],
    ['private by keyword', /^\s+private (?!constructor)/],
    ['any', /\bas any\b|: any\b|@ts-(?:ignore|nocheck)/],
  ];

  test('stay out of what ships', () => {
    const wrong: string[] = [];
    for (const path of sources) {
      const plain = path.includes('/gen/') ? '' : withoutComments(textOf(path));
      for (const [index, line] of plain.split('\n').entries()) {
        for (const [what, pattern] of BANNED) {
          if (pattern.test(line) && !isAllowed(path, what)) {
            wrong.push(`${path}:${index + 1} ${what}: ${line.trim()}`);
          }
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test('no test waits on the real clock', () => {
    const sleep = /await .*\bset(?:Timeout|Immediate)\(|timers\/promises|setTimeout\(resolve/;
    const wrong = code
      .filter((path) => /\.test\.ts$/.test(path))
      .filter((path) => sleep.test(withoutComments(textOf(path))));
    expect(wrong).toEqual([]);
  });

  test('nothing is left to be fixed, anywhere', () => {
    const marker = new RegExp(['FIX', 'ME'].join(''));
    const wrong = [...code, ...files.filter((path) => path.endsWith('.md'))].filter(
      (path) => !path.startsWith('test/tidy') && marker.test(textOf(path)),
    );
    expect(wrong).toEqual([]);
  });

  test('nothing names the machine it was written on', () => {
    const places = /(?<![\w.$}*)])\/(?:opt|work|root|home\/\w+)\//;
    const wrong = files
      .filter((path) => /\.(ts|mjs|md|json|ya?ml|sh|txt|proto)$|\/run$/.test(path))
      .filter((path) => !path.startsWith('test/tidy'))
      .flatMap((path) =>
        textOf(path)
          .split('\n')
          .flatMap((line, index) => (places.test(line) ? [`${path}:${index + 1} ${line}`] : [])),
      );
    expect(wrong).toEqual([]);
  });
});

describe('sizes', () => {
  // A long literal that nothing can break is let pass.
  const LITERAL = /'[^']*'|`[^`]*`|"[^"]*"|\/(?:\\.|[^/\s])+\/[a-z]*/g;

  test('100 columns in code', () => {
    const limit = (line: string): number =>
      /^\s*(?:\/\/|\/?\*)/.test(line) ? COMMENT_COLUMNS_MAX : COLUMNS_MAX;
    const wrong = code
      .filter((path) => !isGenerated(path))
      .flatMap((path) =>
        textOf(path)
          .split('\n')
          .flatMap((line, i) =>
            line.length > limit(line) && line.replace(LITERAL, '').length > 60
              ? [`${path}:${i + 1}`]
              : [],
          ),
      );
    expect(wrong).toEqual([]);
  });

  test('600 lines in a file, unless a reason is recorded', () => {
    const wrong = code.filter(
      (path) =>
        textOf(path).split('\n').length > LINES_MAX &&
        !LONG_FILES.some((one) => path.startsWith(one.where)),
    );
    expect(wrong).toEqual([]);
  });

  test('no large files', () => {
    const wrong = files.filter((path) => statSync(join(REPOSITORY, path)).size > FILE_BYTES_MAX);
    expect(wrong).toEqual([]);
  });

  // Each line of the list is `lines path name`; numbers only go down and lines only disappear.
  test('70 lines in a function, and the recorded ones only shrink', () => {
    const recorded = new Map(
      textOf('test/long-functions.txt')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => {
          const [lines, ...name] = line.split(' ');
          return [name.join(' '), Number(lines)] as const;
        }),
    );
    const found = new Map<string, number>();
    for (const path of code) {
      if (isTest(path) || isGenerated(path)) continue;
      for (const { name, lines } of functionsOf(textOf(path))) {
        if (lines > FUNCTION_LINES_MAX) found.set(`${path} ${name}`, lines);
      }
    }
    const wrong: string[] = [];
    for (const [name, lines] of found) {
      const limit = recorded.get(name) ?? FUNCTION_LINES_MAX;
      if (lines > limit) wrong.push(`${name}: ${lines} lines, at most ${limit}`);
      if (lines < limit) wrong.push(`${name}: lower its record to ${lines}`);
    }
    for (const name of recorded.keys()) {
      if (!found.has(name)) wrong.push(`${name}: remove its record`);
    }
    expect(wrong).toEqual([]);
  });

  test('a function is found by its indentation', () => {
    const body = 'a();\n'.repeat(3);
    const text = `export async function one(\n  a: string,\n): void {\n${body}}\n\nclass A {
  #two(): void {\n    if (a) {\n      b();\n    }\n  }\n}\nconst three = () => {\n};\n`;
    expect(functionsOf(text)).toEqual([
      { name: 'one', lines: 7 },
      { name: '#two', lines: 5 },
      { name: 'three', lines: 2 },
    ]);
  });
});

interface FunctionSize {
  readonly name: string;
  readonly lines: number;
}

const OPENING = new RegExp(
  '^( *)(?:(?:export|default|async|static|private|override|get|set|readonly)\\s+)*' +
    '(?:function\\s*\\*?\\s*([\\w$]+)|(?:const|let)\\s+([\\w$]+).*=\\s*(?:async\\s*)?\\(|(#?[\\w$]+)(?:<[^(]*>)?\\()',
);
const CONTROL = new Set(['if', 'for', 'while', 'switch', 'catch', 'return', 'await', 'super']);

/** Named functions and methods; code is formatted, so a body ends at the indent of its start. */
function functionsOf(text: string): FunctionSize[] {
  const lines = text.split('\n');
  const sizes: FunctionSize[] = [];
  for (const [start, line] of lines.entries()) {
    const match = OPENING.exec(line);
    if (match === null) continue;
    const indent = match[1]!;
    const name = (match[2] ?? match[3] ?? match[4])!;
    if (CONTROL.has(name)) continue;
    // The body opens on this line, or on the line that closes the parameter list.
    let open = start;
    if (!line.endsWith('{')) {
      const closes = new RegExp(`^${indent}\\).*\\{$`);
      while (open < lines.length && !closes.test(lines[open]!)) {
        if (open > start && !lines[open]!.startsWith(`${indent} `)) open = lines.length;
        else open++;
      }
    }
    if (open >= lines.length) continue;
    const end = lines.findIndex((one, i) => i > open && one.startsWith(`${indent}}`));
    if (end > 0) sizes.push({ name, lines: end - start + 1 });
  }
  return sizes;
}

describe('words', () => {
  /** Handwritten and shipped: what a README table lists. Rigs in `testing/` are not. */
  const named = sources.filter(
    (path) => !isGenerated(path) && !path.includes('/testing/') && !path.endsWith('/index.ts'),
  );

  test('every source file is in the README of its folder or of one above', () => {
    const readmes = new Set(files.filter((path) => path.endsWith('/README.md')));
    const missing = named.filter((path) => {
      let folder = dirname(path);
      while (folder !== 'src' && !readmes.has(`${folder}/README.md`)) folder = dirname(folder);
      if (folder === 'src') return true;
      const words = textOf(`${folder}/README.md`).matchAll(/`([^`\s]+)`/g);
      return ![...words].some((match) => basename(match[1]!) === basename(path));
    });
    expect(missing.filter((path) => !isAllowed(path, 'table'))).toEqual([]);
  });

  test('a file that a README names is there', () => {
    const wrong: string[] = [];
    for (const readme of files.filter((path) => /^src\/.*README\.md$/.test(path))) {
      const below = files.filter((path) => path.startsWith(`${dirname(readme)}/`));
      for (const match of textOf(readme).matchAll(/`((?:[\w-]+\/)*[\w.-]+\.(?:ts|proto))`/g)) {
        const name = match[1]!;
        const found =
          below.some((path) => `/${path}`.endsWith(`/${name}`)) ||
          files.some((path) => path === name || path === `src/${name}`) ||
          name === 'index.ts';
        if (!found && !isAllowed(readme, 'table')) wrong.push(`${readme}: ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('a page about the whole names files that are there', () => {
    const pages = files.filter((path) => /^(?:[^/]+|(?:docs|bench|sim)\/.*)\.md$/.test(path));
    const wrong: string[] = [];
    for (const page of pages) {
      for (const path of pathsIn(textOf(page))) {
        const places = [path, `src/${path}`, `${dirname(page)}/${path}`];
        const isThere = places.some((place) => files.includes(place));
        if (!isThere && !isAllowed(page, 'path')) wrong.push(`${page}: ${path}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('no walk passes a file twice', () => {
    const walks = textOf('ARCHITECTURE.md').split(/^(?=\*\*One |## )/m);
    const twice = walks
      .filter((walk) => walk.startsWith('**One'))
      .flatMap((walk) => pathsIn(walk).filter((path, at, all) => all.indexOf(path) < at));
    expect(twice).toEqual([]);
  });

  test('a link in a comment leads to a name of its file', () => {
    const wrong: string[] = [];
    for (const path of code) {
      const links = [...textOf(path).matchAll(/\{@link ([^}\s]+)\}/g)];
      if (links.length === 0 || path.startsWith('test/tidy')) continue;
      const words = new Set(withoutComments(textOf(path)).match(/[\w$]+/g));
      for (const [, link] of links) {
        // Of `Type.member` the type is declared or imported here, the member where the type is.
        const [first, ...members] = link!.split('.');
        const isHere = words.has(first!) && members.every((one) => allWords().has(one));
        if (!isHere) wrong.push(`${path}: ${link}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('a code or constant in a comment exists', () => {
    const wrong: string[] = [];
    for (const path of code.filter((one) => one.startsWith('src/') && !isGenerated(one))) {
      const names = commentsOf(textOf(path)).match(/\b[A-Z][A-Z\d]*(?:_[A-Z\d]+)+\b/g) ?? [];
      for (const name of names) {
        if (!allWords().has(name) && !FOREIGN_NAMES.has(name)) wrong.push(`${path}: ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('a name in backticks in a comment exists', () => {
    const pathWords = new Set(files.flatMap((path) => path.match(/[\w$]+/g) ?? []));
    const wrong: string[] = [];
    for (const path of code.filter((one) => !isGenerated(one) && !one.startsWith('test/tidy'))) {
      for (const [, name] of commentsOf(textOf(path)).matchAll(/`([^`\n]+)`/g)) {
        // `name`, `Type.member`, `#field`, `call()`; other code in a comment is not looked at.
        if (!/^#?[A-Za-z_$][\w$]*(?:\.#?[\w$]+)*(?:\(\))?$/.test(name!)) continue;
        const words = name!.match(/[\w$]+/g)!;
        const isHere = words.every((word) => allWords().has(word) || pathWords.has(word));
        if (!isHere && !FOREIGN_NAMES.has(name!)) wrong.push(`${path}: ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('what is exported is imported somewhere', () => {
    const unused = unusedExports(code, textOf, packageEntries()).filter(
      ({ path }) => path.startsWith('src/') && !isTest(path) && !isGenerated(path),
    );
    const wrong = unused.filter(({ path }) => !isAllowed(path, 'export'));
    expect(wrong.map(({ path, name }) => `${path}: ${name}`)).toEqual([]);
  });

  test('an unused export is found, also behind a file that only passes it on', () => {
    const texts: Record<string, string> = {
      'a/one.ts': 'export const used = 1;\nexport function unused(): void {}\nexport type T = 1;\n',
      'a/index.ts': "export { type T, unused, used as other } from './one.ts';\n",
      'b.ts': "import { other } from './a/index.ts';\n",
    };
    const found = unusedExports(Object.keys(texts), (path) => texts[path]!, new Set());
    expect(found.map(({ path, name }) => `${path} ${name}`)).toEqual([
      'a/one.ts unused',
      'a/one.ts T',
      'a/index.ts T',
      'a/index.ts unused',
    ]);
    expect(
      unusedExports(Object.keys(texts), (path) => texts[path]!, new Set(['a/index.ts'])),
    ).toEqual([]);
  });
});

/** Paths with a directory in them, such as `wal/wal.ts`. */
function pathsIn(text: string): string[] {
  const pattern = /(?<![\w./-])((?:[\w.-]+\/)+[\w.-]+\.(?:ts|mjs|sh|md|json|proto))\b/g;
  return [...text.matchAll(pattern)].map((match) => match[1]!);
}

/** Names of other programs and standards. */
const FOREIGN_NAMES = new Set([
  ...['IOV_MAX', 'O_EXLOCK', 'PIPE_BUF', 'SETTINGS_HEADER_TABLE_SIZE'],
  // Go and its libraries.
  ...['crc32.Update', 'strconv.Unquote', 'time.Duration.String()', 'time.ParseDuration'],
  // etcd and bbolt.
  ...['AllocSize', 'ErrGRPCEmptyKey', 'ValidSnapshotEntries', 'etcdutl', 'rpctypes'],
  // The system, and formats of times.
  ...['chmod', 'YYYYMMDD.HHMMSS.micros', 'YYMMDDhhmmssZ'],
]);

/** What a program that uses the package may import. */
function packageEntries(): ReadonlySet<string> {
  return new Set(sources.filter((path) => folderOf(path) === 'entry'));
}

const ALL_WORDS = new Set<string>();

/** Of all code and schemas, without comments. */
function allWords(): ReadonlySet<string> {
  if (ALL_WORDS.size === 0) {
    for (const path of files.filter((one) => /\.(ts|mjs|proto)$/.test(one))) {
      for (const word of withoutComments(textOf(path)).match(/[\w$]+/g) ?? []) ALL_WORDS.add(word);
    }
  }
  return ALL_WORDS;
}

/** The comments of a text that stand on lines of their own. */
function commentsOf(text: string): string {
  return text
    .split('\n')
    .filter((line) => /^\s*(?:\/\/|\/?\*)/.test(line))
    .join('\n');
}

interface Export {
  readonly path: string;
  readonly name: string;
  /** Where an index file has it from. */
  readonly source?: { readonly path: string; readonly name: string };
}

/** Exports that no other file imports, neither by name nor by importing all of a file. */
function unusedExports(
  paths: readonly string[],
  read: (path: string) => string,
  entries: ReadonlySet<string>,
): Export[] {
  const exports: Export[] = [];
  const used = new Set<string>();
  for (const path of paths) {
    const text = read(path);
    // Scripts import what the build made of a source.
    const resolve = (target: string): string =>
      normalize(join(dirname(path), target)).replace(/^dist\/(.*)\.js$/, 'src/$1.ts');
    const statements =
      /^(import|export)\s+(?:type\s+)?(\*)?[^'";{]*(?:\{([^}]*)\})?\s*from\s+'(\.[^']+)'/gm;
    for (const [, kind, all, list, target] of text.matchAll(statements)) {
      const source = resolve(target!);
      if (all !== undefined) used.add(`${source} *`);
      for (const [, from, as] of (list ?? '').matchAll(
        /([\w$]+)(?:\s+as\s+([\w$]+))?\s*(?:,|$)/g,
      )) {
        if (kind === 'import') used.add(`${source} ${from}`);
        else exports.push({ path, name: as ?? from!, source: { path: source, name: from! } });
      }
    }
    for (const [, target] of text.matchAll(/import\(\s*'(\.[^']+)'/g)) {
      used.add(`${resolve(target!)} *`);
    }
    const declared =
      /^export\s+(?:(?:declare|async|abstract)\s+)*(?:const|let|function\*?|class|interface|type|namespace)\s+([\w$]+)/gm;
    for (const match of text.matchAll(declared)) exports.push({ path, name: match[1]! });
  }
  const isUsed = ({ path, name }: Export): boolean =>
    entries.has(path) || used.has(`${path} ${name}`) || used.has(`${path} *`);
  // What an index file passes on is used where that is; index files may pass on one another's.
  for (let before = -1; before < used.size; ) {
    before = used.size;
    for (const one of exports) {
      if (one.source !== undefined && isUsed(one))
        used.add(`${one.source.path} ${one.source.name}`);
    }
  }
  return exports.filter((one) => !isUsed(one));
}

test('every allowance is needed', () => {
  const unneeded = ALLOWANCES.filter((one) => !usedAllowances.has(one));
  expect(unneeded).toEqual([]);
});
