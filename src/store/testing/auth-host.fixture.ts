// A member that notes what the state machine tells it of authentication.

import { bytesFromUtf8 } from '../../base/index.ts';
import type { AuthHost, TokenRequest } from '../apply/auth-host.ts';
import type { AuthOperation } from '../apply/auth-operation.ts';

export class RecordingAuthHost implements AuthHost {
  /** What was told, in order: `enabled`, `changed 1100`, `token alice@4`. */
  readonly notes: string[] = [];

  onEnabled(): void {
    this.notes.push('enabled');
  }

  onDisabled(): void {
    this.notes.push('disabled');
  }

  onReplaced(): void {
    this.notes.push('replaced');
  }

  onUserChanged(username: string): void {
    this.notes.push(`tokens of ${username} end`);
  }

  onChanged({ kind }: AuthOperation): void {
    this.notes.push(`changed ${kind}`);
  }

  assignToken({ username, authRevision, simpleToken, index, awaited }: TokenRequest): string {
    this.notes.push(`token of ${username}@${authRevision}${awaited ? ', awaited' : ''}`);
    return `${simpleToken}.${index}`;
  }

  readonly hashPassword = (password: string): Uint8Array => {
    this.notes.push('hashed');
    return bytesFromUtf8(`hash of ${password}`);
  };
}
