/** Bytes of one kind that all connections of a server or channel hold together. */
export class ByteCount {
  bytes = 0;
  readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  get isOver(): boolean {
    return this.bytes > this.max;
  }
}
