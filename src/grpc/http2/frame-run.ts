// Frames that differ in one field only: the first one is written, the others are copies of it.
//
//     A |                       written, with the field of the first
//     A | A |                   copied
//     A | A | A   A |           copied together, and so on, twice as many each time
//     A | B | C   D |           the other fields put in their places
//
// Hot: once per watcher and event. A copy is one call whatever its length, so that a run of a hundred frames
// takes seven, and some bytes of each.

/**
 * Makes a run of `count` frames: `bytes[offset, offset + length)`, which has `fields[from]` at `fieldAt`,
 * and copies of it with the next fields there, all of one length. The caller made room. Returns the
 * offset after the last frame.
 */
export function writeFrameRun(
  bytes: Uint8Array,
  offset: number,
  length: number,
  fieldAt: number,
  fields: readonly Uint8Array[],
  from: number,
  count: number,
): number {
  const end = offset + count * length;
  for (let at = offset + length; at < end; ) {
    const copied = Math.min(at - offset, end - at);
    bytes.copyWithin(at, offset, offset + copied);
    at += copied;
  }
  const width = fields[from]!.length;
  let at = offset + fieldAt + length;
  for (let i = from + 1; i < from + count; i++, at += length) {
    const field = fields[i]!;
    for (let j = 0; j < width; j++) bytes[at + j] = field[j]!;
  }
  return end;
}
