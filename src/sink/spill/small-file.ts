/**
 * The two small files of a spill directory: one line of JSON, and behind it a line with the line's
 * CRC-32 as 8 hexadecimal digits. A file whose checksum is wrong counts as absent.
 *
 *   manifest.json  {"format": 1, "pipeline": ..., "target": ..., "commitOn": "index" | "spill"}
 *   progress.json  {"segments": [[file name, ordinal], ...]}: entries below the ordinal are gone
 */
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import type { Disk } from '../../core/disk.ts'

const MANIFEST = 'manifest.json'
const PROGRESS = 'progress.json'

const manifestSchema = z.object({
  format: z.number(),
  pipeline: z.string(),
  target: z.string(),
  commitOn: z.enum(['index', 'spill']),
})
const progressSchema = z.object({ segments: z.array(z.tuple([z.string(), z.number()])) })

/** Whose documents a directory holds, and what became of their offsets. */
export type Manifest = Readonly<z.infer<typeof manifestSchema>>

export async function loadManifest(disk: Disk, directory: string): Promise<Manifest | null> {
  return load(disk, path.join(directory, MANIFEST), manifestSchema)
}

export async function saveManifest(disk: Disk, directory: string, value: Manifest): Promise<void> {
  await disk.replace(path.join(directory, MANIFEST), encodeChecked(value))
}

/** How far each segment was sent: file name -> ordinal. Empty when nothing is known. */
export async function loadProgress(disk: Disk, directory: string): Promise<Map<string, number>> {
  const progress = await load(disk, path.join(directory, PROGRESS), progressSchema)
  return new Map(progress?.segments)
}

export async function saveProgress(
  disk: Disk,
  directory: string,
  segments: readonly (readonly [name: string, ordinal: number])[],
): Promise<void> {
  await disk.replace(path.join(directory, PROGRESS), encodeChecked({ segments }))
}

function encodeChecked(value: unknown): Buffer {
  const line = JSON.stringify(value)
  const checksum = crc32(line).toString(16).padStart(8, '0')
  return Buffer.from(`${line}\n${checksum}\n`)
}

async function load<T>(disk: Disk, file: string, schema: z.ZodType<T>): Promise<T | null> {
  const bytes = await disk.load(file)
  if (bytes === null) return null
  const [line = '', checksum = ''] = Buffer.from(bytes).toString('utf8').split('\n')
  if (crc32(line).toString(16).padStart(8, '0') !== checksum) return null
  const parsed = schema.safeParse(JSON.parse(line))
  return parsed.success ? parsed.data : null
}
