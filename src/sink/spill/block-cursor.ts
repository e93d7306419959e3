/**
 * Walks the blocks of one segment file in large reads, and resynchronises after damage.
 *
 * Used by the scan (scan.ts) and the reader (reader.ts):
 *
 *   for (;;) {
 *     const step = cursor.next()
 *     if (step === 'end') break
 *     if (step === 'more') await cursor.load()
 *     else ... cursor.bytes, cursor.view, cursor.at, cursor.length describe an intact block
 *   }
 *
 * Bound: one chunk, or one block where that is larger.
 */
import { BLOCK_DAMAGED, BLOCK_INCOMPLETE, blockAt, SYNC_BYTES } from './format.ts'
import type { DiskFile } from '../../core/disk.ts'

/** Bytes [from, to) of the file that are not part of an intact block. */
export interface DamagedBytes {
  readonly from: number
  readonly to: number
}

export class BlockCursor {
  readonly #file: DiskFile
  readonly #sync: Buffer
  readonly #chunkBytes: number
  readonly #reuse: boolean
  /** Where the walk ends; moves down when the file is shorter. */
  #end: number
  /** The file position of the chunk's first byte. */
  #base: number
  /** Bytes of the chunk that are there. */
  #filled = 0
  /** Where the next block is expected, within the chunk. */
  #next = 0
  #neededBytes = 0
  #damagedFrom = -1
  bytes: Buffer = Buffer.alloc(0)
  view: DataView = new DataView(this.bytes.buffer, this.bytes.byteOffset, 0)
  /** The block that `next` found: its place in `bytes`, and its length. */
  at = 0
  length = 0
  /** Damage that lies behind us, in order. */
  readonly damaged: DamagedBytes[] = []

  /** @param reuse one buffer for all chunks: nobody keeps a view into it. */
  constructor(
    file: DiskFile,
    sync: Buffer,
    from: number,
    end: number,
    chunkBytes: number,
    reuse: boolean,
  ) {
    this.#file = file
    this.#sync = sync
    this.#base = from
    this.#end = end
    this.#chunkBytes = chunkBytes
    this.#reuse = reuse
  }

  /** The file position of the block that `next` found. */
  get position(): number {
    return this.#base + this.at
  }

  get end(): number {
    return this.#end
  }

  next(): 'block' | 'more' | 'end' {
    for (;;) {
      const position = this.#base + this.#next
      if (position >= this.#end) {
        this.#endDamage(this.#end)
        return 'end'
      }
      const limit = this.#end - this.#base
      const found = blockAt(this.bytes, this.view, this.#next, this.#filled, limit, this.#sync)
      if (found > 0) {
        this.#endDamage(position)
        this.at = this.#next
        this.length = found
        this.#next += found
        return 'block'
      }
      if (found === BLOCK_INCOMPLETE && this.#base + this.#filled < this.#end) {
        this.#needMore()
        return 'more'
      }
      if (found === BLOCK_DAMAGED || found === BLOCK_INCOMPLETE) this.#skipDamage(position)
    }
  }

  /** Reads the next chunk, from the block that was not yet complete. */
  async load(): Promise<void> {
    const base = this.#base + this.#next
    const wanted = Math.min(Math.max(this.#chunkBytes, this.#neededBytes), this.#end - base)
    if (!this.#reuse || this.bytes.length < wanted) {
      this.bytes = Buffer.allocUnsafeSlow(wanted)
      this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
    }
    const room = this.bytes.subarray(0, wanted)
    this.#filled = await this.#file.read(room, base)
    this.#base = base
    this.#next = 0
    this.#neededBytes = 0
    // Somebody cut the file: the missing bytes cannot be walked.
    if (this.#filled < wanted) this.#end = base + this.#filled
  }

  #needMore(): void {
    const hasLength = this.#filled - this.#next >= 16
    this.#neededBytes = hasLength ? this.view.getUint32(this.#next + 12, true) : 0
  }

  /** Goes to the next place that may be a block. */
  #skipDamage(position: number): void {
    if (this.#damagedFrom === -1) this.#damagedFrom = position
    const chunk = this.bytes.subarray(0, this.#filled)
    const found = chunk.indexOf(this.#sync, this.#next + 1)
    if (found !== -1) {
      this.#next = found
      return
    }
    // A sync may begin in the last bytes of this chunk and go on in the next one.
    const isLast = this.#base + this.#filled >= this.#end
    this.#next = isLast ? this.#filled : Math.max(this.#next + 1, this.#filled - SYNC_BYTES + 1)
  }

  #endDamage(position: number): void {
    if (this.#damagedFrom === -1) return
    this.damaged.push({ from: this.#damagedFrom, to: position })
    this.#damagedFrom = -1
  }
}
