// Certificates in files, as servers and commands want them.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Issued,
  type IssueOptions,
  TestAuthority,
} from '../../src/net/testing/authority.fixture.ts';
import { temporaryDirectory } from './member.ts';

export interface KeyPairFiles {
  readonly cert: string;
  readonly key: string;
}

/** Of this machine. */
const LOOPBACK: IssueOptions = { dns: ['localhost'], ip: [[127, 0, 0, 1]] };

/** An authority, and what it issues, in a directory that `dispose` removes. */
export class CertificateFiles {
  readonly directory: string = temporaryDirectory();
  readonly authority = new TestAuthority('test authority');
  /** Path of the authority's certificate. */
  readonly ca: string = this.write('ca.pem', this.authority.cert);

  /** For a server on this machine. */
  server(options: IssueOptions = {}, name = 'server'): KeyPairFiles {
    return this.issue(name, { commonName: 'server', ...LOOPBACK, ...options });
  }

  client(commonName: string): KeyPairFiles {
    return this.issue(`client-${commonName}`, { commonName });
  }

  issue(name: string, options: IssueOptions): KeyPairFiles {
    return this.writePair(name, this.authority.issue(options));
  }

  writePair(name: string, { cert, key }: Issued): KeyPairFiles {
    return { cert: this.write(`${name}.pem`, cert), key: this.write(`${name}.key`, key) };
  }

  write(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  /** Path of an empty directory. */
  subdirectory(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path);
    return path;
  }

  dispose(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
