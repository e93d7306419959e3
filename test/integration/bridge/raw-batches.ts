/**
 * Record batches and older message sets, byte by byte, for what no producer makes: written into a
 * broker as they are, by a Produce request of version 3.
 */
import { connect } from 'node:net'
import { crc32 } from 'node:zlib'

export interface RawRecord {
  readonly key?: string | null
  readonly value: string | null
  /** Of the record, over the batch's; ms. */
  readonly timestampDelta?: number
}

export const BASE_TIMESTAMP = 1_700_000_000_000
export const LOG_APPEND_TIME = 0x08

function varint(value: number): Buffer {
  const bytes: number[] = []
  let bits = value < 0 ? -value * 2 - 1 : value * 2
  for (; bits >= 0x80; bits = Math.floor(bits / 0x80)) bytes.push((bits % 0x80) | 0x80)
  return Buffer.from([...bytes, bits])
}

function sized(text: string | null | undefined): Buffer {
  if (text === null || text === undefined) return varint(-1)
  return Buffer.concat([varint(Buffer.byteLength(text)), Buffer.from(text)])
}

/** The records' part of a batch of format 2. */
export function recordBytes(records: readonly RawRecord[]): Buffer {
  const framed = records.map(({ key, value, timestampDelta = 0 }, index) => {
    const parts = [Buffer.from([0]), varint(timestampDelta), varint(index)]
    const body = Buffer.concat([...parts, sized(key), sized(value), varint(0)])
    return Buffer.concat([varint(body.length), body])
  })
  return Buffer.concat(framed)
}

const CRC32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0x82f63b78 : rest >>> 1
  return rest
})

function crc32c(bytes: Buffer): number {
  let rest = 0xffffffff
  for (const byte of bytes) rest = CRC32C[(rest ^ byte) & 0xff]! ^ (rest >>> 8)
  return (rest ^ 0xffffffff) >>> 0
}

/** A batch of format 2; the broker sets the offset of the first one of a request. https://kafka.apache.org/documentation/#recordbatch */
export function batch(
  bytes: Buffer,
  recordCount: number,
  { attributes = 0, badCrc = false, baseOffset = 0, maxTimestamp = BASE_TIMESTAMP + 500 } = {},
): Buffer {
  const body = Buffer.alloc(40)
  body.writeInt16BE(attributes, 0)
  body.writeInt32BE(recordCount - 1, 2)
  body.writeBigInt64BE(BigInt(BASE_TIMESTAMP), 6)
  body.writeBigInt64BE(BigInt(maxTimestamp), 14)
  body.writeBigInt64BE(-1n, 22) // No producer id, epoch and sequence.
  body.writeInt16BE(-1, 30)
  body.writeInt32BE(-1, 32)
  body.writeInt32BE(recordCount, 36)
  const checked = Buffer.concat([body, bytes])
  const head = Buffer.alloc(21)
  head.writeBigInt64BE(BigInt(baseOffset))
  head.writeInt32BE(checked.length + 9, 8)
  head.writeInt8(2, 16)
  head.writeUInt32BE((crc32c(checked) ^ (badCrc ? 1 : 0)) >>> 0, 17)
  return Buffer.concat([head, checked])
}

/** A message set of format 0 or 1. */
export function messageSet(magic: 0 | 1, records: readonly RawRecord[]): Buffer {
  const int32Sized = (text: string | null | undefined) => {
    const size = Buffer.alloc(4)
    size.writeInt32BE(text === null || text === undefined ? -1 : Buffer.byteLength(text))
    return Buffer.concat([size, Buffer.from(text ?? '')])
  }
  const messages = records.map(({ key, value, timestampDelta = 0 }) => {
    const time = Buffer.alloc(8)
    time.writeBigInt64BE(BigInt(BASE_TIMESTAMP + timestampDelta))
    const head = [Buffer.from([magic, 0]), magic === 1 ? time : Buffer.alloc(0)]
    const checked = Buffer.concat([...head, int32Sized(key), int32Sized(value)])
    const framing = Buffer.alloc(16)
    framing.writeInt32BE(checked.length + 4, 8)
    framing.writeUInt32BE(crc32(checked), 12)
    return Buffer.concat([framing, checked])
  })
  return Buffer.concat(messages)
}

/** Appends it to partition 0 of the topic t. @returns when the broker has it. */
export async function produceRaw(bootstrapServers: string, records: Buffer): Promise<void> {
  const [host = '', port = ''] = bootstrapServers.split(',')[0]!.split(':')
  const string = (text: string) => {
    const size = Buffer.alloc(2)
    size.writeInt16BE(text.length)
    return Buffer.concat([size, Buffer.from(text)])
  }
  const int16 = (value: number) => Buffer.from(Int16Array.of(value).buffer).swap16()
  const int32 = (value: number) => Buffer.from(Int32Array.of(value).buffer).swap32()
  // Produce, version, correlation, client; no transaction, all in-sync replicas, time-out.
  const head = [int16(0), int16(3), int32(1), string('raw')]
  const body = [int16(-1), int16(-1), int32(5000)]
  const to = [int32(1), string('t'), int32(1), int32(0)]
  const request = Buffer.concat([...head, ...body, ...to, int32(records.length), records])
  const socket = connect({ host, port: Number(port) })
  socket.write(Buffer.concat([int32(request.length), request]))
  const answer = await new Promise<Buffer>((resolve, reject) => {
    socket.once('data', resolve)
    socket.once('error', reject)
  })
  socket.destroy()
  // Size, correlation, one topic by name, one partition by number, error code.
  const error = answer.readInt16BE(4 + 4 + 4 + 3 + 4 + 4)
  if (error !== 0) throw new Error(`the broker refused the records: ${error}`)
}
