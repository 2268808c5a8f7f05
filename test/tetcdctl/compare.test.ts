// tetcdctl beside real etcdctls: the same commands, each program on a real member of its own.
//
// Where releases differ, tetcdctl follows 3.7; steps say which releases do the same. With
// TETCD_ETCD_37_DIR naming a directory that holds etcd and etcdctl 3.7, all steps are compared.

import { execFile } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MemoryIo } from '../../src/cli/ctl/memory-io.fixture.ts';
import { runTetcdctl } from '../../src/cli/ctl/program.ts';
import { wordFromText } from '../../src/cli/ctl/words.ts';
import { Member, type Program, realProgram } from '../member.ts';
import { describeWith, type Found, need, type RealEtcd, realEtcd } from '../real-etcd.ts';
import type { RunResult } from '../run.ts';
import { type Known, normalForm } from './normal-form.ts';
import { type Like, STEPS, type Step } from './steps.ts';

const TOOL_TIMEOUT_MS = 30_000;

type Tool = (args: readonly string[], step: Step) => Promise<RunResult>;

const ours: Tool = async (args, { input, env }) => {
  const io = new MemoryIo({ ...(input === undefined ? {} : { input }), ...(env && { env }) });
  const code = await runTetcdctl(args.map(wordFromText), io);
  return { code, stdout: io.outBytes.toString('latin1'), stderr: io.errText };
};

function theirs(etcdctl: string): Tool {
  return (args, { input = '', env = {} }) =>
    new Promise((resolve, reject) => {
      const options = {
        // Any bytes must survive.
        encoding: 'latin1',
        env: { ...process.env, ETCDCTL_API: '3', ...env },
        timeout: TOOL_TIMEOUT_MS,
      } as const;
      const child = execFile(etcdctl, args, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === 'number') {
          resolve({ code, stdout, stderr: Buffer.from(stderr, 'latin1').toString() });
        } else reject(error);
      });
      child.stdin!.end(input);
    });
}

/** One program on one member, with what it has learned of it. */
class Side {
  readonly leases: bigint[] = [];
  readonly #member: Member;
  readonly #tool: Tool;
  #ids: { readonly clusterId: bigint; readonly memberId: bigint } | undefined;

  constructor(member: Member, tool: Tool) {
    this.#member = member;
    this.#tool = tool;
  }

  async take(step: Step): Promise<RunResult> {
    this.#ids ??= await this.#learnIds();
    const { endpoint } = this.#member;
    const args = step.args.map((word) =>
      word
        .replaceAll('{ep}', endpoint)
        .replace(/\{(\d)\}/g, (_all, digit: string) => this.#lease(Number(digit))),
    );
    const hasEndpoints = args.some((word) => word.startsWith('--endpoints'));
    const result = await this.#tool(
      hasEndpoints ? args : [`--endpoints=${endpoint}`, ...args],
      step,
    );
    this.#noteLease(step, result.stdout);
    return normalForm(result, this.#known());
  }

  #lease(number: number): string {
    return (this.leases[number - 1] ?? 0n).toString(16);
  }

  #noteLease({ args }: Step, stdout: string): void {
    if (args[0] !== 'lease' || args[1] !== 'grant') return;
    const hex = /lease ([0-9a-f]{16}) granted/.exec(stdout)?.[1];
    const decimal = /"ID"\s?:\s?(\d+)/.exec(stdout)?.[1];
    if (hex !== undefined) this.leases.push(BigInt(`0x${hex}`));
    else if (decimal !== undefined) this.leases.push(BigInt(decimal));
  }

  async #learnIds(): Promise<{ readonly clusterId: bigint; readonly memberId: bigint }> {
    const args = [`--endpoints=${this.#member.endpoint}`, 'member', 'list', '-w', 'json'];
    const { stdout } = await ours(args, { args });
    const id = (name: string): bigint =>
      BigInt(new RegExp(`"${name}":(\\d+)`).exec(stdout)?.[1] ?? 0);
    return { clusterId: id('cluster_id'), memberId: id('member_id') };
  }

  #known(): Known {
    return {
      clientPort: this.#member.port,
      peerPort: Number(new URL(this.#member.peerUrl).port),
      leases: this.leases,
      ...this.#ids!,
    };
  }
}

function compareWith(like: Like, found: Found<RealEtcd>): void {
  describeWith(`tetcdctl beside etcdctl ${like}`, [found], () => {
    let members: Member[] = [];
    let sides: readonly [Side, Side];

    beforeAll(async () => {
      const real = need(found);
      const program: Program = realProgram(real);
      members = await Promise.all([Member.start(program), Member.start(program)]);
      sides = [new Side(members[0]!, ours), new Side(members[1]!, theirs(real.etcdctl))];
    });

    afterAll(async () => {
      await Promise.all(members.map((member) => member.dispose()));
    });

    test('the same commands end and print the same', async () => {
      const differences: string[] = [];
      for (const step of STEPS) {
        if (step.like !== undefined && !step.like.includes(like)) continue;
        const [own, real] = await Promise.all(sides.map((side) => side.take(step)));
        if (isDeepStrictEqual(own, real)) continue;
        const { args, input = '' } = step;
        const shown = [own, real].map((result) => JSON.stringify(result));
        differences.push(`${args.join(' ')} ${input}\n  ours   ${shown[0]}\n  theirs ${shown[1]}`);
      }
      expect(differences.join('\n')).toBe('');
    });
  });
}

describe('commands', () => {
  compareWith('3.4', realEtcd('3.4'));
  compareWith('3.5', realEtcd('3.5'));
  const newest = process.env['TETCD_ETCD_37_DIR'];
  if (newest) {
    const value = {
      release: '3.5',
      version: '3.7',
      etcd: `${newest}/etcd`,
      etcdctl: `${newest}/etcdctl`,
    } as const;
    compareWith('3.7', { value });
  }
});
