// Passwords that are asked for, with etcdctl's words.

import { EXIT, ExitError } from './exit.ts';
import type { Io } from './io.ts';

/** White space at both ends, as Go has it. */
const AROUND = /^\p{White_Space}+|\p{White_Space}+$/gu;
const FIRST_WORD = /^\p{White_Space}*(\P{White_Space}*)/u;

/** Asks for a password on standard output; it is not shown while it is typed. */
export async function askPassword(io: Io, prompt: string): Promise<string> {
  const line = await io.askHidden(prompt);
  io.out('\n');
  return line.replace(AROUND, '');
}

/** Asks for the new password of a user, twice. BAD_ARGS if it is empty, or another the second time. */
export async function askNewPassword(io: Io, user: string): Promise<string> {
  const password = await askPassword(io, `Password of ${user}: `);
  if (password === '') throw new ExitError(EXIT.BAD_ARGS, 'empty password');
  const again = await askPassword(io, `Type password of ${user} again for confirmation: `);
  if (password !== again) throw new ExitError(EXIT.BAD_ARGS, 'given passwords are different');
  return password;
}

/** The first word of standard input's next line, without a prompt; empty if there is none. */
export async function readPassword(io: Io): Promise<string> {
  const bytes = (await io.readLine()) ?? (await io.readAll());
  return FIRST_WORD.exec(Buffer.from(bytes).toString())![1]!;
}
