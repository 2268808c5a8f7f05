// Notifications to the service manager: READY and STOPPING (sd_notify(3)).
//
// The manager listens at a datagram socket, which Node does not have, and takes messages from the main
// process only unless the unit says otherwise (`NotifyAccess=`). A small native package sends them from this
// process; without it, or for an abstract socket, `systemd-notify` does, whose messages need
// `NotifyAccess=all`. See docs/decisions/0006-sd-notify.md.

import { spawn } from 'node:child_process';
import type { Timer, Timers } from '../../env/index.ts';
import { asError, type Logger } from '../../server/index.ts';

type State = 'READY=1' | 'STOPPING=1';

/** Time for a message to be taken. */
const SEND_TIMEOUT_MS = 5000;

export class ServiceManager {
  readonly #log: Logger;
  readonly #timers: Timers;
  /** Path of its socket, as NOTIFY_SOCKET has it; `@` begins an abstract one. Without it, none is sent. */
  readonly #socket: string;

  constructor(log: Logger, timers: Timers, socket: string | undefined) {
    this.#log = log;
    this.#timers = timers;
    this.#socket = socket ?? '';
  }

  /** Never rejects: a member serves, and stops, whether its manager knows or not. */
  async notify(state: State): Promise<void> {
    if (this.#socket === '') return;
    this.#log.info('notifying init daemon', { state });
    try {
      await this.#send(state);
      this.#log.info('successfully notified init daemon', { state });
    } catch (error) {
      const what = state === 'READY=1' ? 'readiness' : 'stopping';
      this.#log.error(`failed to notify systemd for ${what}`, { error: asError(error) });
    }
  }

  async #send(state: State): Promise<void> {
    if (this.#socket.startsWith('/')) {
      try {
        await this.#sendFromHere(state);
        return;
      } catch (error) {
        this.#log.debug('cannot notify init daemon directly', { error: asError(error) });
      }
    }
    await sendByProgram(state);
  }

  async #sendFromHere(state: State): Promise<void> {
    const { DgramSocket } = await import('node-unix-socket');
    const socket = new DgramSocket();
    let timer: Timer | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = this.#timers.after(SEND_TIMEOUT_MS, () =>
          reject(new Error('it takes no messages')),
        );
        const message = Buffer.from(state);
        socket.sendTo(message, 0, message.length, this.#socket, (error) => {
          if (error === undefined) resolve();
          else reject(error);
        });
      });
    } finally {
      timer?.cancel();
      socket.close();
    }
  }
}

/** It waits until the manager has looked at the message, which needs the process that sent it. */
function sendByProgram(state: State): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('systemd-notify', [state], { stdio: 'ignore', timeout: SEND_TIMEOUT_MS });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`systemd-notify ended with ${signal ?? code}`));
    });
  });
}
