// Names and addresses of hosts, for the check of certificates. The system's own lookup counts (/etc/hosts,
// search domains), but takes a thread of libuv's pool for as long as the DNS server does not answer. libuv
// gives lookups two of its four threads; one of them stays for members that dial others by name.

import { Resolver, lookup as systemLookup } from 'node:dns';
import type { NameLookup } from './certificates/address-check.ts';
import { LOOKUPS_MAX, REVERSE_LOOKUP_TIMEOUT_MS, REVERSE_LOOKUP_TRIES } from './limits.ts';

interface FoundAddress {
  readonly address: string;
  readonly family: number;
}

/** Lookups of names, at most `LOOKUPS_MAX` at a time. */
class Lookups {
  readonly #underWay = new Map<string, Promise<readonly FoundAddress[]>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** All addresses of a name, in the order of the system. Rejects with the system's error. */
  all(name: string): Promise<readonly FoundAddress[]> {
    let asked = this.#underWay.get(name);
    if (asked === undefined) {
      asked = this.#ask(name).finally(() => this.#underWay.delete(name));
      this.#underWay.set(name, asked);
    }
    return asked;
  }

  async #ask(name: string): Promise<readonly FoundAddress[]> {
    if (this.#running >= LOOKUPS_MAX) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      return await new Promise((resolve, reject) => {
        systemLookup(name, { all: true, order: 'verbatim' }, (error, found) => {
          if (error === null) resolve(found);
          else reject(lookupError(name, error));
        });
      });
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/** For certificates; apart from what members need to reach each other. */
export function hostLookup(): NameLookup {
  const lookups = new Lookups();
  const resolver = new Resolver({
    timeout: REVERSE_LOOKUP_TIMEOUT_MS,
    tries: REVERSE_LOOKUP_TRIES,
  });
  return {
    // By datagrams, without a thread.
    namesOf: (ip) =>
      new Promise((resolve, reject) => {
        resolver.reverse(ip, (error, names) => {
          if (error === null) resolve(names);
          else reject(lookupError(ip, error));
        });
      }),
    addressesOf: async (name) => (await lookups.all(name)).map(({ address }) => address),
  };
}

/** In Go's words where it has some. */
function lookupError(what: string, { code, message }: NodeJS.ErrnoException): Error {
  const isUnknown = code === 'ENOTFOUND' || code === 'ENODATA';
  return new Error(`lookup ${what}: ${isUnknown ? 'no such host' : message}`);
}
