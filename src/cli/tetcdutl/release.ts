// The release of etcdutl that `tetcdutl` corresponds to.

const RELEASE = '3.7.1';
const API_VERSION = '3.7';

/** What `tetcdutl version` prints: two lines that scripts read, in etcdutl's words. */
export const VERSION_TEXT: string = `etcdutl version: ${RELEASE}\nAPI version: ${API_VERSION}\n`;
