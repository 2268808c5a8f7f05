// Scripts by which a shell completes the command line of a program. They know the tree of commands and
// flags, and start no process: what a server would have to be asked for is not completed.
//
// Every script finds the command that the words so far name (its path), passing over flags and their
// values, and offers what may follow: commands, flags, or words; else names of files.

import type { Command } from 'commander';
import { flagsOf } from './command-line.ts';
import { Flag } from './flags.ts';

export const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;
type Shell = (typeof SHELLS)[number];

/** One command, and what may follow it. */
interface Place {
  /** Names from below the root, with blanks between; empty for the root. */
  readonly path: string;
  readonly commands: readonly Choice[];
  readonly flags: readonly Choice[];
  readonly words: readonly string[];
}

interface Choice {
  readonly name: string;
  /** Of a flag that has one: `-w`. */
  readonly short?: string | undefined;
  readonly help: string;
}

interface Program {
  readonly name: string;
  readonly places: readonly Place[];
  /** Flags whose value is the next word, short forms too. */
  readonly withValue: readonly string[];
  /** Those of them that have few values. */
  readonly values: ReadonlyArray<readonly [flag: string, values: readonly string[]]>;
}

const WRITERS: Readonly<Record<Shell, (program: Program) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
  powershell: powershellScript,
};

/** The script for a shell. `wordsOf`: words that a command takes, none if they may be any. */
export function completionScript(
  shell: Shell,
  root: Command,
  wordsOf: (command: Command) => readonly string[],
): string {
  const all = commandsBelow(root);
  const flags = all.flatMap((command) => command.options.filter((one) => one instanceof Flag));
  const valued = flags.filter(({ kind }) => kind !== 'bool');
  const values = new Map(
    valued.flatMap((flag) =>
      flag.values === undefined ? [] : namesOf(flag).map((name) => [name, flag.values!] as const),
    ),
  );
  return WRITERS[shell]({
    name: root.name(),
    places: all.map((command) => placeOf(command, wordsOf(command))),
    withValue: [...new Set(valued.flatMap(namesOf))].sort(),
    values: [...values].sort(),
  });
}

function commandsBelow(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsBelow)];
}

function placeOf(command: Command, words: readonly string[]): Place {
  const flags = flagsOf(command).map(({ long, short, description }) => ({
    ...{ name: long!, short, help: description },
  }));
  const commands = command.commands.map((each) => ({ name: each.name(), help: each.summary() }));
  return {
    path: pathOf(command),
    commands: sorted(commands),
    flags: sorted([...flags, { name: '--help', short: '-h', help: `help for ${command.name()}` }]),
    words,
  };
}

function pathOf(command: Command): string {
  if (command.parent === null) return '';
  return `${pathOf(command.parent)} ${command.name()}`.trimStart();
}

function namesOf({ long, short }: Flag): string[] {
  return [long!, ...(short === undefined ? [] : [short])];
}

function sorted(choices: readonly Choice[]): Choice[] {
  return [...choices].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function names(choices: readonly Choice[]): string {
  return choices.map(({ name }) => name).join(' ');
}

/** Between single quotes, where a shell takes every other character for itself. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function bashScript({ name, places, withValue, values }: Program): string {
  const cases = places.map(
    ({ path, commands, flags, words }) =>
      `    ${quoted(path)}) commands=${quoted(names(commands))} words=${quoted(words.join(' '))}\n` +
      `      flags=${quoted(names(flags))} ;;`,
  );
  const paths = places.map(({ path }) => quoted(path)).filter((path) => path !== "''");
  const ofValues = values.map(
    ([flag, all]) =>
      `    ${flag}) COMPREPLY=($(compgen -W ${quoted(all.join(' '))} -- "$cur")); return ;;`,
  );
  return `# bash completion for ${name}

_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  local path='' word commands words flags i
  COMPREPLY=()
  # bash takes = for a word of its own.
  [[ $cur == '=' ]] && cur=''
  [[ $prev == '=' ]] && prev=\${COMP_WORDS[COMP_CWORD-2]}
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
    ${withValue.join('|')})
      if [[ \${COMP_WORDS[i+1]} == '=' ]]; then ((i += 2)); else ((i += 1)); fi ;;
    -*) ;;
    *)
      case "\${path:+$path }$word" in
      ${paths.join('|')}) path="\${path:+$path }$word" ;;
      esac ;;
    esac
  done
  case $prev in
${ofValues.join('\n')}
    ${withValue.join('|')}) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  case $path in
${cases.join('\n')}
  esac
  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -n $commands$words ]]; then COMPREPLY=($(compgen -W "$commands $words" -- "$cur"))
  else COMPREPLY=($(compgen -f -- "$cur"))
  fi
}

complete -o filenames -F _${name} ${name}
`;
}

function zshScript({ name, places, withValue, values }: Program): string {
  const list = (choices: readonly Choice[]): string =>
    choices.map((one) => quoted(`${one.name.replaceAll(':', '\\:')}:${one.help}`)).join(' ');
  const cases = places.map(
    ({ path, commands, flags, words }) =>
      `    ${quoted(path)})\n      commands=(${list(commands)})\n      flags=(${list(flags)})\n` +
      `      words_=(${words.join(' ')}) ;;`,
  );
  const paths = places.map(({ path }) => quoted(path)).filter((path) => path !== "''");
  const ofValues = values.map(([flag, all]) => `    ${flag}) compadd ${all.join(' ')}; return ;;`);
  return `#compdef ${name}
# zsh completion for ${name}

_${name}() {
  local where='' word i
  local -a commands flags words_
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    case $word in
    ${withValue.join('|')}) ((i += 1)) ;;
    -*) ;;
    *)
      case "\${where:+$where }$word" in
      ${paths.join('|')}) where="\${where:+$where }$word" ;;
      esac ;;
    esac
  done
  # The value behind a =.
  word=$words[CURRENT-1]
  [[ $PREFIX == --*=* ]] && word=\${PREFIX%%=*} && compset -P '*='
  case $word in
${ofValues.join('\n')}
    ${withValue.join('|')}) _files; return ;;
  esac
  case $where in
${cases.join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then _describe -o flag flags
  elif (( $#commands )); then _describe command commands
  elif (( $#words_ )); then compadd -a words_
  else _files
  fi
}

if [ "$funcstack[1]" = "_${name}" ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function fishScript({ name, places, withValue, values }: Program): string {
  const lines: string[] = [];
  for (const { path, commands, flags, words } of places) {
    const here = `-n ${fishQuoted(`test "$(__${name}_path)" = "${path}"`)}`;
    if (commands.length > 0 || words.length > 0) lines.push(`complete -c ${name} ${here} -f`);
    for (const one of [...commands, ...words.map((word) => ({ name: word, help: '' }))]) {
      lines.push(`complete -c ${name} ${here} -a ${one.name} -d ${fishQuoted(one.help)}`);
    }
    for (const flag of flags) {
      const known = values.find(([long]) => long === flag.name);
      const files = known === undefined ? '-r' : `-xa ${fishQuoted(known[1].join(' '))}`;
      const value = withValue.includes(flag.name) ? ` ${files}` : '';
      const short = flag.short === undefined ? '' : ` -s ${flag.short.slice(1)}`;
      const long = `-l ${flag.name.slice(2)}${short}`;
      lines.push(`complete -c ${name} ${here} ${long}${value} -d ${fishQuoted(flag.help)}`);
    }
  }
  return `# fish completion for ${name}

function __${name}_path
  set -l path
  set -l skip 0
  for word in (commandline -opc)[2..]
    if test $skip = 1
      set skip 0
    else if contains -- $word ${withValue.join(' ')}
      set skip 1
    else if not string match -q -- '-*' $word
      set -l next (string join ' ' $path $word)
      if contains -- $next ${places.map(({ path }) => fishQuoted(path)).join(' ')}
        set path $next
      end
    end
  end
  echo "$path"
end

${lines.join('\n')}
`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function powershellScript({ name, places, withValue, values }: Program): string {
  const list = (all: readonly string[]): string => `@(${all.map(powershellQuoted).join(', ')})`;
  const entries = places.map(({ path, commands, flags, words }) => {
    const following = list([...commands.map((one) => one.name), ...words]);
    return `    ${powershellQuoted(path)} = @{ words = ${following}; flags = ${list(flags.map((one) => one.name))} }`;
  });
  const ofValues = values.map(([flag, all]) => `    ${powershellQuoted(flag)} = ${list(all)}`);
  return `# PowerShell completion for ${name}

Register-ArgumentCompleter -Native -CommandName ${powershellQuoted(name)} -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $places = @{
${entries.join('\n')}
  }
  $values = @{
${ofValues.join('\n')}
  }
  $withValue = ${list(withValue)}
  $path = ''
  $before = ''
  foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
    if ($element.Extent.EndOffset -ge $cursorPosition) { break }
    $word = "$element"
    $next = if ($path) { "$path $word" } else { $word }
    if ($withValue -notcontains $before -and $places.ContainsKey($next)) { $path = $next }
    $before = $word
  }
  $flag = if ($wordToComplete -match '^(--[\\w-]+)=') { $Matches[1] } else { '' }
  $choices = if ($values.ContainsKey($flag)) { $values[$flag] | ForEach-Object { "$flag=$_" } }
    elseif ($values.ContainsKey($before)) { $values[$before] }
    elseif ($withValue -contains $before) { @() }
    elseif ($wordToComplete.StartsWith('-')) { $places[$path].flags }
    else { $places[$path].words }
  $choices | Where-Object { $_ -like "$wordToComplete*" } |
    ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
}
`;
}

function powershellQuoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
