import { invariant } from '../base/index.ts';
import { sortedUrls } from '../membership/index.ts';

/** Picks the URL of a member to use: one until it fails, then the next. */
export class UrlPicker {
  #urls: readonly string[] = [];
  #picked = 0;

  constructor(urls: readonly string[]) {
    this.update(urls);
  }

  update(urls: readonly string[]): void {
    invariant(urls.length > 0, 'a member has at least one peer URL');
    this.#urls = sortedUrls(urls);
    this.#picked = 0;
  }

  get urls(): readonly string[] {
    return this.#urls;
  }

  pick(): string {
    return this.#urls[this.#picked]!;
  }

  /** `url` has failed. */
  unreachable(url: string): void {
    if (url === this.pick()) this.#picked = (this.#picked + 1) % this.#urls.length;
  }
}
