// tetcdctl beside real etcdctls on members that serve TLS: certificates, users and roles.

import { generateKeyPairSync } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../src/client/index.ts';
import { TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { CertificateFiles } from '../helpers/certificate-files.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, type Found, need, realEtcd } from '../helpers/real-etcd.ts';
import type { RunResult } from '../helpers/run.ts';
import { AUTH_STEPS, type AuthStep } from './auth-steps.ts';
import { type Known, normalForm } from './normal-form.ts';
import { ours, type Tool, theirs } from './tools.ts';

const TEST_TIMEOUT_MS = 300_000;

/** Paths by the names that steps have for them. */
type Paths = ReadonlyMap<string, string>;

function writeFiles(files: CertificateFiles): Paths {
  const other = new TestAuthority('another authority');
  const client = files.client('client');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  return new Map([
    ['ca', files.ca],
    ['other-ca', files.write('other-ca.pem', other.cert)],
    ['none', `${files.directory}/none`],
    ['directory', files.subdirectory('directory')],
    ['empty', files.write('empty', '')],
    ['client.cert', client.cert],
    ['client.key', client.key],
    ['other.key', files.writePair('other', other.issue({})).key],
    ['rsa.key', files.write('rsa.key', rsa.export({ type: 'pkcs8', format: 'pem' }).toString())],
  ]);
}

/** One program on one member, with what it has learned of it. */
class Side {
  readonly #member: Member;
  readonly #tool: Tool;
  readonly #paths: Paths;
  readonly #known: Known;

  private constructor(member: Member, tool: Tool, paths: Paths, known: Known) {
    this.#member = member;
    this.#tool = tool;
    this.#paths = paths;
    this.#known = known;
  }

  static async start(
    program: Program,
    tool: Tool,
    files: CertificateFiles,
    paths: Paths,
  ): Promise<Side> {
    const member = await Member.start(program, { tls: files.server(), flags: ['--bcrypt-cost=4'] });
    const client = new Client({ endpoints: member.clientUrl, tls: { ca: files.authority.cert } });
    const { header } = await client.cluster.memberList();
    client.close();
    return new Side(member, tool, paths, {
      ids: [
        ['cluster', header!.clusterId],
        ['member', header!.memberId],
      ],
      ports: [
        ['peer port', Number(new URL(member.peerUrl).port)],
        ['port', member.port],
      ],
    });
  }

  async dispose(): Promise<void> {
    await this.#member.dispose();
  }

  async take(step: AuthStep): Promise<RunResult> {
    const args = step.args.map((word) => this.#filledIn(word));
    const has = (flag: string): boolean => args.some((word) => word.startsWith(flag));
    const global = [
      ...(has('--endpoints') ? [] : [`--endpoints=${this.#member.clientUrl}`]),
      ...(step.bare === true ? [] : [`--cacert=${this.#filledIn('{ca}')}`]),
    ];
    const env = Object.entries(step.env ?? {}).map(([name, value]) => [
      name,
      this.#filledIn(value),
    ]);
    const result = await this.#tool([...global, ...args], {
      ...(step.input === undefined ? {} : { input: step.input }),
      env: Object.fromEntries(env) as Record<string, string>,
    });
    return normalForm(result, this.#known);
  }

  #filledIn(word: string): string {
    const { endpoint, clientUrl, port } = this.#member;
    let result = word
      .replaceAll('{ep}', endpoint)
      .replaceAll('{url}', clientUrl)
      .replaceAll('{port}', String(port));
    for (const [name, path] of this.#paths) result = result.replaceAll(`{${name}}`, path);
    return result;
  }
}

interface Pair {
  readonly title: string;
  readonly release: '3.5' | '3.7';
  readonly needs: readonly Found<unknown>[];
  /** What is tried, and what it is compared with. */
  sides(): readonly (readonly [program: Program, tool: Tool])[];
}

function compare({ title, release, needs, sides: sidesOf }: Pair): void {
  describeWith(title, needs, () => {
    const files = new CertificateFiles();
    let sides: readonly Side[] = [];

    beforeAll(async () => {
      const paths = writeFiles(files);
      sides = await Promise.all(
        sidesOf().map(([program, tool]) => Side.start(program, tool, files, paths)),
      );
    });

    afterAll(async () => {
      await Promise.all(sides.map((side) => side.dispose()));
      files.dispose();
    });

    test(
      'the same commands end and print the same',
      async () => {
        const differences: string[] = [];
        for (const step of AUTH_STEPS) {
          if (step.like !== undefined && !step.like.includes(release)) continue;
          const [own, real] = await Promise.all(sides.map((side) => side.take(step)));
          if (isDeepStrictEqual(own, real)) continue;
          const { args, input = '' } = step;
          const shown = [own, real].map((result) => JSON.stringify(result));
          differences.push(
            `${args.join(' ')} ${JSON.stringify(input)}\n  ours   ${shown[0]}\n  theirs ${shown[1]}`,
          );
        }
        expect(differences.join('\n')).toBe('');
      },
      TEST_TIMEOUT_MS,
    );
  });
}

const [old, real, server] = [realEtcd('3.5'), realEtcd('3.7'), serverUnderTest()];
compare({
  title: 'tetcdctl beside etcdctl 3.5, at etcd 3.5 over TLS',
  release: '3.5',
  needs: [old],
  sides: () => [ours, theirs(need(old).etcdctl)].map((tool) => [realProgram(need(old)), tool]),
});
compare({
  title: 'tetcdctl at tetcd beside etcdctl 3.7 at etcd 3.7, over TLS',
  release: '3.7',
  needs: [server, real],
  sides: () => [
    [need(server), ours],
    [realProgram(need(real)), theirs(need(real).etcdctl)],
  ],
});
