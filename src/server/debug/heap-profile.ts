// What is on the heap and who allocated it, from V8's sampling of allocations: one in 512 KiB.
//
// V8 samples for one purpose at a time: for the objects that live, or for all that were allocated. So an
// allocation profile ends the sampling of live objects, which begins anew after it.

import { type CallFrame, frameOf, type Inspector } from './inspector.ts';
import { type Frame, ProfileBuilder, type ValueKind } from './profile-builder.ts';

const INTERVAL_BYTES = 524_288;
const SPACE = { type: 'space', unit: 'bytes' };

interface HeapNode {
  readonly callFrame: CallFrame;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

export class HeapSampler {
  readonly #inspector: Inspector;
  readonly #wallMs: () => number;
  #sinceMs: number | undefined;
  #takesAllocations = false;

  constructor(inspector: Inspector, wallMs: () => number) {
    this.#inspector = inspector;
    this.#wallMs = wallMs;
  }

  /** When the sampling of live objects began; undefined if it has not. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  /** V8 samples something else. */
  get isBusy(): boolean {
    return this.#takesAllocations;
  }

  /** Begins to sample; objects that exist by then stay unknown. */
  async begin(): Promise<void> {
    if (this.#sinceMs !== undefined) return;
    this.#sinceMs = this.#wallMs();
    await this.#inspector.post('HeapProfiler.startSampling', { samplingInterval: INTERVAL_BYTES });
  }

  /** The tree of what was sampled and lives. */
  async live(): Promise<HeapNode> {
    await this.begin();
    return this.#read('HeapProfiler.getSamplingProfile');
  }

  collectGarbage(): Promise<void> {
    return this.#inspector.post('HeapProfiler.collectGarbage');
  }

  /** The tree of all that is allocated until `over` resolves, garbage included. */
  async allocations(over: () => Promise<void>): Promise<HeapNode> {
    const sampledLive = this.#sinceMs !== undefined;
    this.#takesAllocations = true;
    try {
      if (sampledLive) await this.#read('HeapProfiler.stopSampling');
      this.#sinceMs = undefined;
      await this.#inspector.post('HeapProfiler.startSampling', {
        samplingInterval: INTERVAL_BYTES,
        includeObjectsCollectedByMajorGC: true,
        includeObjectsCollectedByMinorGC: true,
      });
      await over();
      return await this.#read('HeapProfiler.stopSampling');
    } finally {
      this.#takesAllocations = false;
      if (sampledLive) await this.begin();
    }
  }

  async #read(method: string): Promise<HeapNode> {
    const { profile } = await this.#inspector.post<{ profile: { head: HeapNode } }>(method);
    return profile.head;
  }
}

/** `which` is `inuse` or `alloc`. */
export function heapBuilder(which: 'inuse' | 'alloc', program: string): ProfileBuilder {
  const kinds: ValueKind[] = [{ type: `${which}_space`, unit: 'bytes' }];
  return new ProfileBuilder({ kinds, period: { ...SPACE, value: INTERVAL_BYTES }, program });
}

/** Adds the bytes of every node, times `sign`. */
export function addHeap(builder: ProfileBuilder, head: HeapNode, sign: 1 | -1): void {
  const visit = (node: HeapNode, callers: readonly Frame[]): void => {
    const stack = [frameOf(node.callFrame), ...callers];
    if (node.selfSize !== 0) builder.add(stack, [sign * node.selfSize]);
    for (const child of node.children) visit(child, stack);
  };
  for (const child of head.children) visit(child, []);
}

/** Adds memory that V8 only counts: buffers outside its heap, by nobody in particular. */
export function addBuffers(builder: ProfileBuilder, bytes: number, sign: 1 | -1): void {
  const name = '(array buffers)';
  builder.add([{ name, plainName: name, file: '', startLine: 0, line: 0 }], [sign * bytes]);
}
