/** The first place in an ascending list whose element is not below; its length if there is none. */
export function lowerBound<T>(list: readonly T[], isBelow: (element: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (isBelow(list[mid]!)) low = mid + 1;
    else high = mid;
  }
  return low;
}
