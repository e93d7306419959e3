/**
 * A second reader of a spill segment, written from the specification in spill/format.ts and from
 * nothing else: it imports nothing of src, and has its own CRC-32.
 */

export interface SecondEntry {
  readonly ordinal: number
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly timestampMs: bigint
  /** As in the file: 0 none, 1 create, 2 append. */
  readonly timestampType: number
  readonly index: string
  readonly document: Buffer
}

export interface SecondSegment {
  readonly headerIntact: boolean
  readonly entries: readonly SecondEntry[]
  /** Entries in the segment as the seal says; null without a seal. */
  readonly sealedCount: number | null
  /** topic/partition -> offsets and count, as the ranges blocks say. */
  readonly announced: ReadonlyMap<string, { from: bigint; to: bigint; count: number }>
}

/** @param name the file's name, which holds the segment's number and SYNC. */
export function readSegment(name: string, bytes: Buffer): SecondSegment {
  const match = /^segment-([0-9]{10})-([0-9a-f]{16})\.spill$/.exec(name)
  if (match === null) throw new TypeError(`${name} is no segment`)
  const sync = Buffer.from(match[2] ?? '', 'hex')
  const headerIntact =
    bytes.length >= 32 &&
    bytes.toString('latin1', 0, 8) === 'LPSPILL\n' &&
    bytes.readUInt32LE(8) === 1 &&
    bytes.readUInt32LE(12) === Number(match[1]) &&
    bytes.subarray(16, 24).equals(sync) &&
    bytes.readUInt32LE(24) === crcOf(bytes.subarray(0, 24)) &&
    bytes.readUInt32LE(28) === 0
  const entries: SecondEntry[] = []
  const announced = new Map<string, { from: bigint; to: bigint; count: number }>()
  let sealedCount: number | null = null
  let at = 32
  while (at < bytes.length) {
    if (!isBlock(bytes, at, sync)) {
      at = bytes.indexOf(sync, at + 1)
      if (at === -1) break
      continue
    }
    const length = bytes.readUInt32LE(at + 12)
    const block = bytes.subarray(at, at + length)
    const kind = block.readUInt16LE(16)
    if (kind === 1) entries.push(entryOf(block))
    if (kind === 2) addRanges(announced, block)
    if (kind === 3) sealedCount = block.readUInt32LE(24)
    at += length
  }
  return { headerIntact, entries, sealedCount, announced }
}

function isBlock(bytes: Buffer, at: number, sync: Buffer): boolean {
  if (at + 18 > bytes.length || !bytes.subarray(at, at + 8).equals(sync)) return false
  const length = bytes.readUInt32LE(at + 12)
  if (length < 18 || at + length > bytes.length) return false
  return bytes.readUInt32LE(at + 8) === crcOf(bytes.subarray(at + 12, at + length))
}

function entryOf(block: Buffer): SecondEntry {
  const topicEnd = 56 + block.readUInt16LE(18)
  const indexEnd = topicEnd + block.readUInt16LE(28)
  return {
    ordinal: block.readUInt32LE(20),
    partition: block.readInt32LE(24),
    offset: block.readBigUInt64LE(32),
    timestampMs: block.readBigInt64LE(40),
    timestampType: block.readUInt16LE(30),
    topic: block.toString('utf8', 56, topicEnd),
    index: block.toString('utf8', topicEnd, indexEnd),
    document: block.subarray(indexEnd),
  }
}

function addRanges(
  announced: Map<string, { from: bigint; to: bigint; count: number }>,
  block: Buffer,
): void {
  let at = 32
  for (let left = block.readUInt32LE(28); left > 0; left--) {
    const topicBytes = block.readUInt16LE(at)
    const topic = block.toString('utf8', at + 28, at + 28 + topicBytes)
    const key = `${topic}/${block.readInt32LE(at + 4)}`
    const [from, to] = [block.readBigUInt64LE(at + 8), block.readBigUInt64LE(at + 16)]
    const known = announced.get(key) ?? { from, to, count: 0 }
    announced.set(key, {
      from: from < known.from ? from : known.from,
      to: to > known.to ? to : known.to,
      count: known.count + block.readUInt32LE(at + 24),
    })
    at += 28 + topicBytes
  }
}

/** CRC-32 as in zlib: reflected polynomial 0xEDB88320. */
function crcOf(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}
