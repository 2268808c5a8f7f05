// Exceptions from the rules of tidy.test.ts, each with its reason. A line that nothing needs any
// more fails the test.

export interface Allowance {
  /** Path from the repository's root; a folder ends in a slash. */
  readonly where: string;
  /** The rule's name for what is allowed there. */
  readonly what: string;
  readonly reason: string;
}

export const ALLOWANCES: readonly Allowance[] = [
  { where: 'src/env/node/', what: 'timer', reason: 'the real timers' },
  { where: 'src/env/node/', what: 'clock', reason: 'the real clock' },
  { where: 'src/env/node/', what: 'files', reason: 'the real disk' },
  { where: 'src/cli/shell/bundle-loader.ts', what: 'files', reason: 'files of the program itself' },
  { where: 'src/env/node/', what: 'dice', reason: 'the real entropy, and names of lock files' },
  { where: 'src/env/sim/', what: 'timer', reason: 'simulated time still lets the platform run' },
  {
    where: 'src/server/http/http2-bridge.ts',
    what: 'timer',
    reason: 'a stream of Node, with the methods that node:http calls',
  },
  { where: 'src/net/', what: 'timer', reason: 'time for handshakes, connects and lookups' },
  { where: 'src/net/certificates/', what: 'files', reason: 'certificates, read at handshakes' },
  { where: 'src/grpc/gzip.ts', what: 'platform', reason: 'zlib: compression is no effect' },
  // Recorded when the rule came; the list only shrinks.
];

/** Files of over 600 lines. */
export const LONG_FILES: readonly Allowance[] = [
  { where: 'src/protocol/gen/', what: 'lines', reason: 'generated' },
];

/** Packages that a folder under src may use at run time; each has a page in docs/decisions. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  env: ['ffi-rs', 'node-unix-socket'],
  net: ['asn1js', 'node-unix-socket', 'pkijs'],
  gateway: ['ws'],
  proxy: ['prom-client'],
  server: ['bcryptjs', 'jose', 'pino', 'prom-client'],
  cli: ['commander', 'node-unix-socket', 'yaml'],
};
