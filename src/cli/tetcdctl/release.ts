// The release of etcdctl that `tetcdctl` corresponds to.

const RELEASE = '3.7.1';
const API_VERSION = '3.7';

/** What `tetcdctl version` prints: two lines that scripts read, in etcdctl's words. */
export const VERSION_TEXT: string = `etcdctl version: ${RELEASE}\nAPI version: ${API_VERSION}\n`;
