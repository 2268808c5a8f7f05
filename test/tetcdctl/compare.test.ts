// tetcdctl beside real etcdctls: the same commands, each program on a real member of its own.
//
// Where releases differ, tetcdctl follows 3.7; steps say which releases do the same.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Member, type Program, realProgram } from '../helpers/member.ts';
import { describeWith, type Found, need, type RealEtcd } from '../helpers/real-etcd.ts';
import type { RunResult } from '../helpers/run.ts';
import { type Known, normalForm } from './normal-form.ts';
import { type Like, STEPS, type Step } from './steps.ts';
import { ours, realPrograms, type Tool, theirs } from './tools.ts';

/** One program on one member, with what it has learned of it. */
class Side {
  readonly leases: bigint[] = [];
  readonly #member: Member;
  readonly #tool: Tool;
  /** For files that commands write; a file `file` and a directory `directory` are there. */
  readonly #directory: string;
  #ids: { readonly clusterId: bigint; readonly memberId: bigint } | undefined;

  constructor(member: Member, tool: Tool) {
    this.#member = member;
    this.#tool = tool;
    this.#directory = mkdtempSync(join(tmpdir(), 'steps-'));
    writeFileSync(join(this.#directory, 'file'), 'x');
    mkdirSync(join(this.#directory, 'directory'));
  }

  dispose(): void {
    rmSync(this.#directory, { recursive: true });
  }

  async take(step: Step): Promise<RunResult> {
    this.#ids ??= await this.#learnIds();
    const { endpoint } = this.#member;
    const args = step.args.map((word) =>
      word
        .replaceAll('{ep}', endpoint)
        .replaceAll('{dir}', this.#directory)
        .replace(/\{(\d)\}/g, (_all, digit: string) => this.#lease(Number(digit))),
    );
    const hasEndpoints = args.some((word) => word.startsWith('--endpoints'));
    const result = await this.#tool(
      hasEndpoints ? args : [`--endpoints=${endpoint}`, ...args],
      step,
    );
    this.#noteLease(step, result.stdout);
    const known = normalForm(isHelp(step) ? flagsOnly(result) : result, this.#known());
    const withoutDirectory = (text: string) => text.replaceAll(this.#directory, '<dir>');
    return {
      ...known,
      stdout: withoutDirectory(known.stdout),
      stderr: withoutDirectory(known.stderr),
    };
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
    const { stdout } = await ours(args, {});
    const id = (name: string): bigint =>
      BigInt(new RegExp(`"${name}":(\\d+)`).exec(stdout)?.[1] ?? 0);
    return { clusterId: id('cluster_id'), memberId: id('member_id') };
  }

  #known(): Known {
    const { clusterId, memberId } = this.#ids!;
    return {
      ids: [
        ...this.leases.map((id, i) => [`lease${i + 1}`, id] as const),
        ['cluster', clusterId],
        ['member', memberId],
      ],
      ports: [
        ['peer port', Number(new URL(this.#member.peerUrl).port)],
        ['port', this.#member.port],
      ],
    };
  }
}

/** Prints help alone, which is ours in our words. */
function isHelp({ args: [first, second] }: Step): boolean {
  const isGroup = first === 'snapshot' && second !== 'save';
  return first === 'help' || first === 'options' || isGroup;
}

function flagsOnly(result: RunResult): RunResult {
  const flags = new Set(result.stdout.match(/(?<= )--[a-z][a-z-]+(?= )/g));
  return { ...result, stdout: [...flags].sort().join('\n') };
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
      for (const side of sides) side.dispose();
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
  for (const [like, found] of realPrograms()) compareWith(like, found);
});
