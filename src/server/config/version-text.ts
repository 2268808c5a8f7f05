// The text of `--version`, apart from the rest: it loads nothing else.

import { SERVER_RELEASE } from '../../membership/index.ts';

/** Versions of the program and of its platform. */
export interface About {
  /** Version of this package. */
  readonly packageVersion: string;
  /** `process.version`. */
  readonly nodeVersion: string;
  /** `process.platform`. */
  readonly platform: string;
  /** `process.arch`. */
  readonly arch: string;
}

const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** The four lines of etcd, which scripts read, filled with what is true here. */
export function versionText(about: About): string {
  const os = about.platform === 'win32' ? 'windows' : about.platform;
  const arch = GO_ARCHITECTURES[about.arch] ?? about.arch;
  return (
    `etcd Version: ${SERVER_RELEASE}\n` +
    `Git SHA: tetcd ${about.packageVersion}\n` +
    `Go Version: none (Node.js ${about.nodeVersion})\n` +
    `Go OS/Arch: ${os}/${arch}\n`
  );
}
