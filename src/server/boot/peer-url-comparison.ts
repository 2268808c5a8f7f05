// Compares lists of peer URLs by address, as etcd does: different spellings of an IP address are equal,
// and where the texts differ, names are resolved, with retries until a timeout, since the name service of
// a cluster may start together with it. `localhost` is not resolved.

import { isIP, isIPv4, isIPv6 } from 'node:net';
import { goQuote } from '../../base/index.ts';
import { sortedUrls, type UrlComparison } from '../../membership/index.ts';
import type { PeerEnv } from '../../peer/index.ts';
import { RESOLVE_RETRY_MS, RESOLVE_TIMEOUT_MS } from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';

export class PeerUrlComparison implements UrlComparison {
  readonly #env: PeerEnv;
  readonly #log: Logger;
  /** One deadline for all comparisons of a start. */
  readonly #deadlineMs: number;
  /** URLs that were resolved, by the URL as written. */
  readonly #resolved = new Map<string, string>();

  constructor(env: PeerEnv, log: Logger) {
    this.#env = env;
    this.#log = log;
    this.#deadlineMs = env.clock.monotonicMs() + RESOLVE_TIMEOUT_MS;
  }

  sameAsWritten(a: readonly string[], b: readonly string[]): boolean {
    return (
      a.length === b.length && firstPairThatDiffers(sortedUrls(a), sortedUrls(b)) === undefined
    );
  }

  async difference(a: readonly string[], b: readonly string[]): Promise<string | undefined> {
    if (a.length !== b.length) return `len(${quoted(a)}) != len(${quoted(b)})`;
    if (this.sameAsWritten(a, b)) return undefined;
    try {
      const left = sortedUrls(await this.#resolveAll(a));
      const pair = firstPairThatDiffers(left, sortedUrls(await this.#resolveAll(b)));
      return pair && `resolved urls: ${pair.map(goQuote).join(' != ')}`;
    } catch (error) {
      return asError(error).message;
    }
  }

  async #resolveAll(urls: readonly string[]): Promise<string[]> {
    const resolved: string[] = [];
    for (const url of urls) {
      try {
        resolved.push(await this.#resolve(url));
      } catch (error) {
        throw new Error(`failed to resolve ${goQuote(url)} (${asError(error).message})`);
      }
    }
    return resolved;
  }

  /** The URL with an IP address in place of its name. */
  async #resolve(url: string): Promise<string> {
    const { scheme, host, port } = partsOf(url);
    if (scheme.startsWith('unix') || host === 'localhost') return url;
    const known = this.#resolved.get(url);
    if (known !== undefined) return known;
    const address = await this.#addressOf(url, host, port);
    const resolved = `${scheme}://${address}`;
    this.#resolved.set(url, resolved);
    return resolved;
  }

  /** IP address and port. */
  async #addressOf(url: string, host: string, port: string): Promise<string> {
    const { clock, timers, network } = this.#env;
    const what = { url, host: joinHostPort(host, port) };
    const retry = { 'retry-interval': `${RESOLVE_RETRY_MS / 1000}s` };
    for (;;) {
      try {
        const leftMs = this.#deadlineMs - clock.monotonicMs();
        const ip = isIP(host) === 0 ? await network.resolve(host, Math.max(1, leftMs)) : host;
        const address = joinHostPort(canonicalIp(ip), String(Number(port)));
        this.#log.info('resolved URL Host', { ...what, 'resolved-addr': address });
        return address;
      } catch (error) {
        const fields = { ...what, ...retry, error: asError(error) };
        this.#log.warn('failed to resolve URL Host', fields);
        if (clock.monotonicMs() + RESOLVE_RETRY_MS >= this.#deadlineMs) {
          this.#log.warn('failed to resolve URL Host; returning', fields);
          throw error;
        }
        await new Promise<void>((resolve) => timers.after(RESOLVE_RETRY_MS, resolve));
      }
    }
  }
}

interface UrlParts {
  readonly scheme: string;
  /** Without brackets; of a Unix socket, its path. */
  readonly host: string;
  /** Empty if there is none. */
  readonly port: string;
}

const URL_PARTS = /^([a-zA-Z][a-zA-Z\d+.-]*):\/\/(?:\[([^\]]*)\]|([^/:[\]]*))(?::(\d*))?$/;

function partsOf(url: string): UrlParts {
  const match = URL_PARTS.exec(url);
  // A path or an invalid address: compared as text.
  if (match === null) {
    const [scheme = '', host = ''] = url.split('://');
    return { scheme, host, port: '' };
  }
  const [, scheme = '', bracketed, plain = '', port = ''] = match;
  return { scheme: scheme.toLowerCase(), host: bracketed ?? plain, port };
}

/** The first pair that differs in two lists of equal length, with IP addresses in canonical form. */
function firstPairThatDiffers(
  a: readonly string[],
  b: readonly string[],
): readonly [string, string] | undefined {
  const at = a.findIndex((url, i) => normalized(url) !== normalized(b[i]!));
  return at < 0 ? undefined : [a[at]!, b[at]!];
}

function normalized(url: string): string {
  const { scheme, host, port } = partsOf(url);
  return `${scheme}://${joinHostPort(canonicalIp(host), port)}`;
}

function joinHostPort(host: string, port: string): string {
  const bracketed = host.includes(':') ? `[${host}]` : host;
  return port === '' ? bracketed : `${bracketed}:${port}`;
}

const MAPPED_IPV4 = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/;

/** The canonical form of an IP address; an IPv4 address in IPv6 form becomes IPv4. */
function canonicalIp(host: string): string {
  if (isIPv4(host) || !isIPv6(host) || host.includes('%')) return host;
  const canonical = new URL(`http://[${host}]`).hostname.slice(1, -1);
  const [, high, low] = MAPPED_IPV4.exec(canonical) ?? [];
  if (high === undefined || low === undefined) return canonical;
  const words = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return words.flatMap((word) => [word >> 8, word & 255]).join('.');
}

function quoted(urls: readonly string[]): string {
  return `[${urls.map(goQuote).join(' ')}]`;
}
