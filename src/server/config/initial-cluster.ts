// The members of a new cluster as a text: `name=peerURL`, comma separated; a name may stand there for each
// of its URLs.

import type { InitialMember } from './server-config.ts';
import { parseUrls } from './urls.ts';

/** Sorted by name, or why the text is refused, in etcd's words. */
export function parseInitialCluster(text: string): readonly InitialMember[] | string {
  const urlsOf = new Map<string, string[]>();
  for (const pair of text.split(',')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const member = at < 0 ? pair : pair.slice(0, at);
    const urls = urlsOf.get(member) ?? [];
    urls.push(at < 0 ? '' : pair.slice(at + 1));
    urlsOf.set(member, urls);
  }
  const members: InitialMember[] = [];
  for (const [name, urls] of urlsOf) {
    const parsed = parseUrls(urls.join(','));
    if ('reason' in parsed) return parsed.reason;
    members.push({ name, peerURLs: parsed.value.map((url) => url.text) });
  }
  return members.sort((a, b) => (a.name < b.name ? -1 : 1));
}
