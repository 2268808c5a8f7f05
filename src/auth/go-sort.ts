// Go's sort.Sort (since Go 1.19: Orson Peters' pattern-defeating quicksort), step for step. It is not
// stable, and etcd sorts the permissions of a role with it: permissions that share a key must come to
// lie as on every other member, since a later grant changes the first of them that it finds.

/** Sorts in place. `less(a, b)`: a belongs before b. */
export function goSort<T>(list: T[], less: (a: T, b: T) => boolean): void {
  new GoSort(list, less).sort(0, list.length, 32 - Math.clz32(list.length));
}

/** Up to this length: insertion sort. */
const INSERTION_MAX = 12;
/** From this length on a nearly sorted list is repaired in place, and the pivot is a median of nine. */
const LONG = 50;
/** At most so many pairs out of order are repaired. */
const MENDED_MAX = 5;
/** Swaps of a median of nine that finds everything in descending order. */
const DESCENDING_SWAPS = 12;
/** From this length on the pivot is a median, and what defeats it is shuffled. */
const SHUFFLED_MIN = 8;

/** Of every range `[a, b)` the end is exclusive. */
class GoSort<T> {
  readonly #list: T[];
  readonly #comesFirst: (a: T, b: T) => boolean;
  /** Of the choice of a pivot that was last made. */
  #swaps = 0;
  /** Whether the range that was last partitioned had been so before. */
  #foundPartitioned = true;

  constructor(list: T[], less: (a: T, b: T) => boolean) {
    this.#list = list;
    this.#comesFirst = less;
  }

  #less(a: number, b: number): boolean {
    return this.#comesFirst(this.#list[a]!, this.#list[b]!);
  }

  #swap(a: number, b: number): void {
    const list = this.#list;
    const one = list[a]!;
    list[a] = list[b]!;
    list[b] = one;
  }

  /** `patience`: bad pivots until heap sort takes over. */
  sort(from: number, to: number, patience: number): void {
    let a = from;
    let b = to;
    let left = patience;
    let wasBalanced = true;
    this.#foundPartitioned = true;
    for (;;) {
      const length = b - a;
      if (length <= INSERTION_MAX || left === 0) {
        if (length <= INSERTION_MAX) this.#insertionSort(a, b);
        else this.#heapSort(a, b);
        return;
      }
      if (!wasBalanced) {
        this.#shuffle(a, b);
        left--;
      }
      const wasPartitioned = this.#foundPartitioned;
      const pivot = this.#choosePivot(a, b);
      const seemsSorted = this.#swaps === 0 || this.#swaps === DESCENDING_SWAPS;
      if (wasBalanced && wasPartitioned && seemsSorted && this.#mendFew(a, b)) return;
      if (a > 0 && !this.#less(a - 1, pivot)) {
        a = this.#partitionEqual(a, b, pivot);
        continue;
      }
      const mid = this.#partition(a, b, pivot);
      const found: boolean = this.#foundPartitioned;
      const isLeftShorter = mid - a < b - mid;
      wasBalanced = Math.min(mid - a, b - mid) >= Math.floor(length / 8);
      if (isLeftShorter) {
        this.sort(a, mid, left);
        a = mid + 1;
      } else {
        this.sort(mid + 1, b, left);
        b = mid;
      }
      this.#foundPartitioned = found;
    }
  }

  #insertionSort(a: number, b: number): void {
    for (let i = a + 1; i < b; i++) this.#sink(i, a);
  }

  /** Moves the element at `i` to the left as far as `least`, past greater ones. */
  #sink(i: number, least: number): void {
    for (let j = i; j > least && this.#less(j, j - 1); j--) this.#swap(j, j - 1);
  }

  #heapSort(a: number, b: number): void {
    const length = b - a;
    for (let i = (length - 1) >> 1; i >= 0; i--) this.#siftDown(i, length, a);
    for (let i = length - 1; i >= 0; i--) {
      this.#swap(a, a + i);
      this.#siftDown(0, i, a);
    }
  }

  /** Restores the heap of `count` elements from `first` on below its element `top`. */
  #siftDown(top: number, count: number, first: number): void {
    let root = top;
    for (;;) {
      let child = 2 * root + 1;
      if (child >= count) return;
      if (child + 1 < count && this.#less(first + child, first + child + 1)) child++;
      if (!this.#less(first + root, first + child)) return;
      this.#swap(first + root, first + child);
      root = child;
    }
  }

  /** Less than the pivot to the left, the rest to the right; returns where the pivot lies. */
  #partition(a: number, b: number, pivot: number): number {
    this.#swap(a, pivot);
    let i = a + 1;
    let j = b - 1;
    let isFirst = true;
    for (;;) {
      while (i <= j && this.#less(i, a)) i++;
      while (i <= j && !this.#less(j, a)) j--;
      if (i > j) break;
      this.#swap(i++, j--);
      isFirst = false;
    }
    this.#foundPartitioned = isFirst;
    this.#swap(j, a);
    return j;
  }

  /** No element is less than the pivot: its equals to the left. Returns where the greater begin. */
  #partitionEqual(a: number, b: number, pivot: number): number {
    this.#swap(a, pivot);
    let i = a + 1;
    let j = b - 1;
    for (;;) {
      while (i <= j && !this.#less(a, i)) i++;
      while (i <= j && this.#less(a, j)) j--;
      if (i > j) return i;
      this.#swap(i++, j--);
    }
  }

  /** Sorts what is nearly in order; false if it gave up. */
  #mendFew(a: number, b: number): boolean {
    let i = a + 1;
    for (let mended = 0; mended < MENDED_MAX; mended++) {
      while (i < b && !this.#less(i, i - 1)) i++;
      if (i === b) return true;
      if (b - a < LONG) return false;
      this.#swap(i, i - 1);
      if (i - a >= 2) this.#sink(i - 1, a);
      if (b - i >= 2) {
        for (let j = i + 1; j < b && this.#less(j, j - 1); j++) this.#swap(j, j - 1);
      }
    }
    return false;
  }

  /** Exchanges three elements in the middle for others: the same ones for the same length. */
  #shuffle(a: number, b: number): void {
    const length = b - a;
    if (length < SHUFFLED_MIN) return;
    const mask = BigInt(2 ** (32 - Math.clz32(length)) - 1);
    let random = BigInt(length);
    const middle = a + Math.floor(length / 4) * 2;
    for (let i = middle - 1; i <= middle + 1; i++) {
      random = BigInt.asUintN(64, random ^ (random << 13n));
      random ^= random >> 7n;
      random = BigInt.asUintN(64, random ^ (random << 17n));
      const other = Number(random & mask);
      this.#swap(i, a + (other >= length ? other - length : other));
    }
  }

  /** Returns the pivot's place; a range that is in descending order is turned round. */
  #choosePivot(a: number, b: number): number {
    const length = b - a;
    const quarter = Math.floor(length / 4);
    this.#swaps = 0;
    let [low, mid, high] = [a + quarter, a + 2 * quarter, a + 3 * quarter];
    if (length < SHUFFLED_MIN) return mid;
    if (length >= LONG) {
      low = this.#median(low - 1, low, low + 1);
      mid = this.#median(mid - 1, mid, mid + 1);
      high = this.#median(high - 1, high, high + 1);
    }
    const pivot = this.#median(low, mid, high);
    if (this.#swaps !== DESCENDING_SWAPS) return pivot;
    for (let i = a, j = b - 1; i < j; i++, j--) this.#swap(i, j);
    return b - 1 - (pivot - a);
  }

  #median(a: number, b: number, c: number): number {
    let [low, mid] = this.#ordered(a, b);
    [mid] = this.#ordered(mid, c);
    [low, mid] = this.#ordered(low, mid);
    return mid;
  }

  #ordered(a: number, b: number): [number, number] {
    if (!this.#less(b, a)) return [a, b];
    this.#swaps++;
    return [b, a];
  }
}
