// Collects samples of call stacks and writes them as pprof's protobuf, or as text for people.

import { invariant } from '../../base/index.ts';
import { pprof } from '../../protocol/index.ts';

/** A function on a stack. */
export interface Frame {
  /** As tools show it; functions of one name are one function to them. */
  readonly name: string;
  /** As in the source. Equal to `name` where there is no source. */
  readonly plainName: string;
  /** Path of the file; empty where there is none. */
  readonly file: string;
  /** Lines count from 1; 0 is unknown. */
  readonly startLine: number;
  readonly line: number;
}

/** What a value counts, as pprof names it: `cpu` in `nanoseconds`, say. */
export interface ValueKind {
  readonly type: string;
  readonly unit: string;
}

interface ProfileShape {
  /** The last one is shown first. */
  readonly kinds: readonly ValueKind[];
  /** Between two samples. */
  readonly period?: ValueKind & { readonly value: number };
  /** The program that was profiled. */
  readonly program: string;
}

interface Sample {
  /** The innermost first. */
  readonly stack: readonly Frame[];
  readonly values: number[];
}

export class ProfileBuilder {
  readonly shape: ProfileShape;
  readonly #samples = new Map<string, Sample>();

  constructor(shape: ProfileShape) {
    this.shape = shape;
  }

  /** Adds to the values of this stack, innermost frame first; one value for each kind. */
  add(stack: readonly Frame[], values: readonly number[]): void {
    invariant(values.length === this.shape.kinds.length, 'a sample has a value of each kind');
    const key = stack.map(({ name, file, line }) => `${name}\0${file}\0${line}`).join('\n');
    const sample = this.#samples.get(key);
    if (sample === undefined) this.#samples.set(key, { stack, values: [...values] });
    else for (let i = 0; i < values.length; i++) sample.values[i]! += values[i]!;
  }

  /** With a value that is not 0, the highest first. */
  samples(): readonly Sample[] {
    const last = this.shape.kinds.length - 1;
    return [...this.#samples.values()]
      .filter(({ values }) => values.some((value) => value !== 0))
      .sort((a, b) => b.values[last]! - a.values[last]!);
  }

  /** The sum of the values of the last kind. */
  get total(): number {
    const last = this.shape.kinds.length - 1;
    let sum = 0;
    for (const { values } of this.#samples.values()) sum += values[last]!;
    return sum;
  }

  /** The uncompressed protobuf. `comments` are for who reads the profile. */
  encode(taken: {
    readonly wallMs: number;
    readonly durationMs: number;
    readonly comments: readonly string[];
  }): Uint8Array {
    const { kinds, period, program } = this.shape;
    const tables = new Tables();
    const valueType = ({ type, unit }: ValueKind): pprof.ValueType => ({
      type: tables.text(type),
      unit: tables.text(unit),
    });
    const sample = this.samples().map(({ stack, values }) => ({
      locationId: stack.map((frame) => tables.location(frame)),
      value: values,
      label: [],
    }));
    const mapping = pprof.MappingCodec.create({
      ...{ id: MAPPING_ID, filename: tables.text(program) },
      ...{ hasFunctions: true, hasFilenames: true, hasLineNumbers: true },
    });
    const profile = pprof.ProfileCodec.create({
      sampleType: kinds.map(valueType),
      ...{ sample, mapping: [mapping], location: tables.locations, function: tables.functions },
      stringTable: tables.texts,
      timeNanos: BigInt(Math.round(taken.wallMs * 1000)) * 1000n,
      durationNanos: Math.round(taken.durationMs * 1e6),
      ...(period && { periodType: valueType(period), period: period.value }),
      comment: taken.comments.map((text) => tables.text(text)),
      defaultSampleType: tables.text(kinds.at(-1)!.type),
    });
    return pprof.ProfileCodec.encode(profile);
  }

  /** In the manner of Go's text form: the total, then each stack with its value. */
  text(name: string): string {
    const last = this.shape.kinds.length - 1;
    const lines = [`${name} profile: total ${this.total}`];
    for (const { stack, values } of this.samples()) {
      lines.push(`${values[last]} @`);
      for (const { plainName, file, line } of stack) {
        lines.push(file === '' ? `#\t${plainName}` : `#\t${plainName}\t${file}:${line}`);
      }
      lines.push('');
    }
    return `${lines.join('\n')}\n`;
  }
}

const MAPPING_ID = 1;

/** What samples refer to by number, each thing once. */
class Tables {
  readonly texts: string[] = [];
  readonly functions: pprof.Function[] = [];
  readonly locations: pprof.Location[] = [];
  readonly #textIndex = new Map<string, number>();
  readonly #functionIds = new Map<string, number>();
  readonly #locationIds = new Map<string, number>();

  constructor() {
    this.text('');
  }

  text(text: string): number {
    let index = this.#textIndex.get(text);
    if (index === undefined) {
      index = this.texts.push(text) - 1;
      this.#textIndex.set(text, index);
    }
    return index;
  }

  location(frame: Frame): number {
    const { line } = frame;
    const functionId = this.#function(frame);
    const key = `${functionId}:${line}`;
    let id = this.#locationIds.get(key);
    if (id === undefined) {
      id = this.locations.length + 1;
      this.#locationIds.set(key, id);
      this.locations.push(
        pprof.LocationCodec.create({
          ...{ id, mappingId: MAPPING_ID },
          line: [pprof.LineCodec.create({ functionId, line })],
        }),
      );
    }
    return id;
  }

  #function({ name, plainName, file, startLine }: Frame): number {
    const key = `${name}\0${file}\0${startLine}`;
    let id = this.#functionIds.get(key);
    if (id === undefined) {
      id = this.functions.length + 1;
      this.#functionIds.set(key, id);
      this.functions.push({
        ...{ id, name: this.text(name), systemName: this.text(plainName) },
        ...{ filename: this.text(file), startLine },
      });
    }
    return id;
  }
}
