// What must be in the store after a crash, given what was acknowledged and what was under way.
//
// Each key belongs to one writer, which has one request under way at a time; so for each key there
// is one last acknowledged state and at most one attempt whose fate is unknown.

/** One write of an attempt; no value means a deletion. */
export interface Write {
  readonly key: string;
  readonly value: string | undefined;
}

/** Writes that a single request makes: all with the same revision, or none. */
export type Attempt = readonly Write[];

interface KeyState {
  readonly value: string | undefined;
  /** Of the last write, deletions included; 0 if unknown or never. */
  readonly revision: number;
}

/** A key as the server shows it. */
export interface StoredKey {
  readonly key: string;
  readonly value: string;
  readonly modRevision: number;
}

export interface StoredEvent {
  readonly key: string;
  readonly value: string | undefined;
  readonly revision: number;
}

const ABSENT: KeyState = { value: undefined, revision: 0 };

export class Model {
  /** Current revision when the round began: everything up to it has been checked. */
  base = 1;
  #states = new Map<string, KeyState>();
  readonly #pending = new Map<number, Attempt>();
  #acknowledged: { readonly revision: number; readonly attempt: Attempt }[] = [];
  #attempts: Attempt[] = [];
  #newest = 1;

  /** Acknowledged since the last check. */
  get acknowledgedCount(): number {
    return this.#acknowledged.length;
  }

  /** The highest revision that any response has shown. */
  get newestRevision(): number {
    return this.#newest;
  }

  value(key: string): string | undefined {
    return this.#states.get(key)?.value;
  }

  begin(writer: number, attempt: Attempt): void {
    if (this.#pending.has(writer)) throw new Error(`writer ${writer} has a request under way`);
    this.#pending.set(writer, attempt);
    this.#attempts.push(attempt);
  }

  /** The request succeeded at this revision; an attempt that changed nothing has undefined. */
  acknowledge(writer: number, revision: number | undefined): void {
    const attempt = this.#pending.get(writer);
    if (attempt === undefined) throw new Error(`writer ${writer} has no request under way`);
    this.#pending.delete(writer);
    if (revision === undefined) return;
    this.sawRevision(revision);
    this.#acknowledged.push({ revision, attempt });
    for (const { key, value } of attempt) this.#states.set(key, { value, revision });
  }

  sawRevision(revision: number): void {
    if (revision > this.#newest) this.#newest = revision;
  }

  /**
   * Everything that is wrong with the state found after a restart; then takes it as the new start.
   * `events` are those after {@link base}.
   */
  check(revision: number, keys: readonly StoredKey[], events: readonly StoredEvent[]): string[] {
    const wrong: string[] = [];
    if (revision < this.#newest) {
      wrong.push(`revision went back from ${this.#newest} to ${revision}`);
    }
    const stored = new Map(keys.map((one) => [one.key, one]));
    this.#checkKeys(stored, wrong);
    this.#checkAtomicity(events, wrong);
    this.#checkEvents(events, wrong);
    this.#restart(revision, keys);
    return wrong;
  }

  #checkKeys(stored: ReadonlyMap<string, StoredKey>, wrong: string[]): void {
    const open = new Map<string, Write>();
    for (const attempt of this.#pending.values()) {
      for (const write of attempt) open.set(write.key, write);
    }
    for (const key of new Set([...this.#states.keys(), ...open.keys(), ...stored.keys()])) {
      const state = this.#states.get(key) ?? ABSENT;
      const found = stored.get(key);
      const attempt = open.get(key);
      const asAcknowledged =
        found?.value === state.value &&
        (found === undefined || state.revision === 0 || found.modRevision === state.revision);
      const asAttempted =
        attempt !== undefined &&
        found?.value === attempt.value &&
        (found === undefined || found.modRevision > state.revision);
      if (!asAcknowledged && !asAttempted) {
        const has = found === undefined ? 'nothing' : `${found.value} at ${found.modRevision}`;
        const tried = attempt === undefined ? '' : `, under way: ${attempt.value}`;
        wrong.push(
          `${key}: ${state.value} acknowledged at ${state.revision}${tried}, found ${has}`,
        );
      }
    }
  }

  /** An attempt whose fate was unknown happened wholly, at one revision, or not at all. */
  #checkAtomicity(events: readonly StoredEvent[], wrong: string[]): void {
    for (const attempt of this.#pending.values()) {
      const puts = attempt.filter((write) => write.value !== undefined);
      const revisions = puts.map(
        (write) =>
          events.find((event) => event.key === write.key && event.value === write.value)?.revision,
      );
      if (new Set(revisions).size > 1) {
        wrong.push(
          `torn transaction: ${JSON.stringify(puts)} at revisions ${revisions.join(', ')}`,
        );
      }
    }
  }

  #checkEvents(events: readonly StoredEvent[], wrong: string[]): void {
    const name = (revision: number, write: Write): string =>
      `${revision} ${write.key} = ${write.value}`;
    const seen = new Set<string>();
    let last = this.base;
    for (const event of events) {
      if (event.revision !== last && event.revision !== last + 1) {
        wrong.push(`event of revision ${event.revision} after one of ${last}`);
      }
      last = event.revision;
      seen.add(name(event.revision, event));
    }
    for (const { revision, attempt } of this.#acknowledged) {
      for (const write of attempt) {
        const text = name(revision, write);
        // A deletion of what was absent makes no event.
        if (write.value !== undefined && !seen.has(text)) wrong.push(`no event: ${text}`);
      }
    }
    const possible = new Set(this.#attempts.flat().map((one) => `${one.key} = ${one.value}`));
    for (const event of events) {
      if (!possible.has(`${event.key} = ${event.value}`)) {
        wrong.push(`no client wrote ${name(event.revision, event)}`);
      }
    }
  }

  #restart(revision: number, keys: readonly StoredKey[]): void {
    this.base = revision;
    this.#newest = revision;
    this.#states = new Map(
      keys.map((one) => [one.key, { value: one.value, revision: one.modRevision }]),
    );
    this.#pending.clear();
    this.#acknowledged = [];
    this.#attempts = [];
  }
}
