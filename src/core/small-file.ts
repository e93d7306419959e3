/**
 * Reads the small files that options name: the config file, secrets, tokens.
 *
 * Bounded, because a path may lead to anything; pipes work, because secrets are passed that way.
 */
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs'
import { LogpipeError, messageOf } from './errors.ts'

/** A config file or a secret larger than this is another file. */
export const SMALL_FILE_BYTES_MAX = 1024 * 1024

export type ReadText = (path: string) => string

/** The file as text. @throws LogpipeError CONFIG_FILE */
export function readSmallFile(path: string): string {
  const chunks: Buffer[] = []
  try {
    const file = openSync(path, 'r')
    try {
      const chunk = Buffer.alloc(64 * 1024)
      for (let total = 0; ;) {
        const count = readSync(file, chunk)
        if (count === 0) break
        total += count
        if (total > SMALL_FILE_BYTES_MAX) {
          throw new LogpipeError('CONFIG_FILE', `${path} is larger than 1 MiB`)
        }
        chunks.push(Buffer.from(chunk.subarray(0, count)))
      }
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (error instanceof LogpipeError) throw error
    throw new LogpipeError('CONFIG_FILE', `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (error) {
    throw new LogpipeError('CONFIG_FILE', `${path} is not UTF-8 text`, { cause: error })
  }
}

/** Why a file or folder cannot be read, in words; null: it can. */
export function unreadable(path: string): string | null {
  try {
    accessSync(path, constants.R_OK)
    return null
  } catch (error) {
    return reasonOf(error)
  }
}

/** "no such file or directory" out of Node's "ENOENT: no such file or directory, open '/x'". */
function reasonOf(error: unknown): string {
  return messageOf(error)
    .replace(/^[A-Z]+: /, '')
    .replace(/, [a-z]+( '.*')?$/s, '')
    .replace('illegal operation on a directory', 'it is a folder')
}
