// A line that is typed without being shown: what the keys of a terminal in raw mode mean.

const ENTER = new Set(['\r', '\n']);
const ERASE = new Set(['\x7f', '\b']);
/** Ctrl-C, Ctrl-D, Ctrl-U, Ctrl-W. */
const INTERRUPT = '\x03';
const END = '\x04';
const KILL = '\x15';
const ERASE_WORD = '\x17';

export class HiddenLine {
  /** How it came to its end; undefined while more may be typed. */
  ending: 'entered' | 'interrupted' | undefined = undefined;
  #chars: string[] = [];

  get text(): string {
    return this.#chars.join('');
  }

  /** Takes what was typed; returns what was typed after the end of the line. */
  type(typed: string): string {
    const chars = [...typed];
    for (let at = 0; at < chars.length; at++) {
      this.#take(chars[at]!);
      if (this.ending !== undefined) return chars.slice(at + 1).join('');
    }
    return '';
  }

  #take(char: string): void {
    if (ENTER.has(char) || char === END) this.ending = 'entered';
    else if (char === INTERRUPT) this.ending = 'interrupted';
    else if (char === KILL) this.#chars = [];
    else if (char === ERASE_WORD) this.#eraseWord();
    else if (ERASE.has(char)) this.#chars.pop();
    else this.#chars.push(char);
  }

  #eraseWord(): void {
    while (this.#chars.at(-1) === ' ') this.#chars.pop();
    while (this.#chars.length > 0 && this.#chars.at(-1) !== ' ') this.#chars.pop();
  }
}
