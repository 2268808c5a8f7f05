// Reads data-driven cases: a command line with arguments, input lines, `----`, the expected output,
// a blank line. Output that contains blank lines stands between two pairs of `----` lines.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, type Found, need, sharedData } from '../../test/helpers/real-etcd.ts';

/** One case of a file. */
export interface Case {
  /** Line number of the command, from 1. */
  readonly line: number;
  readonly command: string;
  readonly args: readonly Argument[];
  readonly input: string;
  /** Ends with a line end, unless empty. */
  readonly expected: string;
}

/** `key` alone, `key=value`, or `key=(value, value)`. */
export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

/** The shared cases: beside the repository unless TETCD_RAFT_TESTDATA says otherwise. */
function sharedCases(folder: string): Found<string> {
  const given = process.env['TETCD_RAFT_TESTDATA'];
  return given ? { value: path.join(given, folder) } : sharedData(`raft-testdata/${folder}`);
}

/**
 * Defines one test per file of `folder`. `begin` makes the state of a file and returns the function
 * that runs its cases, in order.
 */
export function testEveryFile(folder: string, begin: () => (c: Case) => string): void {
  const found = sharedCases(folder);
  describeWith(`the shared cases of ${folder}`, [found], () => {
    const directory = need(found);
    for (const name of readdirSync(directory).sort()) {
      if (name.endsWith('.txt')) test(name, () => runFile(path.join(directory, name), begin()));
    }
  });
}

/**
 * Defines one test per file of `directory`, which is ours. With TETCD_REWRITE=1 the expected output
 * is replaced by what comes out; the difference is then for review.
 */
export function testOwnFiles(directory: string, begin: () => (c: Case) => string): void {
  for (const name of readdirSync(directory).sort()) {
    const file = path.join(directory, name);
    test(name, () => {
      if (process.env['TETCD_REWRITE'] === '1') rewriteFile(file, begin());
      runFile(file, begin());
    });
  }
}

function rewriteFile(file: string, run: (c: Case) => string): void {
  const lines = readFileSync(file, 'utf8').split('\n');
  let text = '';
  let at = 0;
  for (const c of parseCases(lines.join('\n'))) {
    const separator = lines.indexOf('----', c.line);
    text += lines.slice(at, separator + 1).join('\n');
    const output = run(c);
    text += `\n${output}${output.endsWith('\n') ? '' : '\n'}`;
    at = separator + 1 + c.expected.split('\n').length - 1;
  }
  writeFileSync(file, `${text}${lines.slice(at).join('\n')}`);
}

function runFile(file: string, run: (c: Case) => string): void {
  const cases = parseCases(readFileSync(file, 'utf8'));
  expect(cases.length).toBeGreaterThan(0);
  for (const c of cases) {
    const output = run(c);
    const actual = output === '' || output.endsWith('\n') ? output : `${output}\n`;
    expect(actual, `${file}:${c.line}: ${c.command}`).toBe(c.expected);
  }
}

/** All cases of a file; an Error names the line of what cannot be parsed. */
export function parseCases(text: string): Case[] {
  const lines = text.split('\n');
  const cases: Case[] = [];
  for (let at = 0; at < lines.length; ) {
    const head = lines[at]!.trim();
    if (head === '' || head.startsWith('#')) {
      at++;
      continue;
    }
    const line = at + 1;
    let commandLine = head;
    while (commandLine.endsWith('\\')) commandLine = commandLine.slice(0, -1) + lines[++at]!.trim();
    const separator = lines.indexOf('----', at + 1);
    if (separator < 0) throw new Error(`line ${line}: no ---- after the command`);
    const input = lines.slice(at + 1, separator).join('\n');
    const [expected, next] = readExpected(lines, separator + 1);
    const { command, args } = parseCommand(commandLine);
    cases.push({ line, command, args, input, expected });
    at = next;
  }
  return cases;
}

function readExpected(lines: readonly string[], from: number): [string, number] {
  const output: string[] = [];
  if (lines[from] === '----') {
    let at = from + 1;
    for (; !(lines[at] === '----' && lines[at + 1] === '----'); at++) output.push(lines[at]!);
    return [output.map((line) => `${line}\n`).join(''), at + 2];
  }
  let at = from;
  for (; at < lines.length && lines[at]!.trim() !== ''; at++) output.push(lines[at]!);
  return [output.map((line) => `${line}\n`).join(''), at];
}

function parseCommand(line: string): { command: string; args: Argument[] } {
  // Words, of which the value may be a list in parentheses with blanks in it.
  const words = line.match(/[^\s=()]+(?:=(?:\([^)]*\)|\S*))?/g) ?? [];
  const [command = '', ...rest] = words;
  const args = rest.map((word): Argument => {
    const equals = word.indexOf('=');
    if (equals < 0) return { key: word, values: [] };
    const value = word.slice(equals + 1);
    const values = value.startsWith('(')
      ? value
          .slice(1, -1)
          .split(',')
          .map((item) => item.trim())
          .filter((item) => item !== '')
      : [value];
    return { key: word.slice(0, equals), values };
  });
  return { command, args };
}
