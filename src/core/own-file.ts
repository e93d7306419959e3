/**
 * Opens a file that holds a secret or decides what runs, and that this program made: a token, a
 * key, a state file, a lock.
 *
 * Such a file is ours or it is refused: no link at its name, a plain file, owned by this process's
 * user, and readable by nobody else (a mode that says otherwise is set right). A foreign file there
 * would let its owner choose our token, or read it.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { LogpipeError } from './errors.ts'

/** The largest such file, a worker's state, has some KB. */
const BYTES_MAX = 4 * 1024 * 1024
const OTHERS = 0o077

/**
 * @returns a descriptor, to be closed by the caller; null where there is no such file.
 * @throws LogpipeError STORE that names what is wrong with it.
 */
export function openOwnFile(path: string, flags: number = constants.O_RDONLY): number | null {
  let file: number
  try {
    // Not blocking: a FIFO at this name would wait for its writer.
    file = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    if (code === 'ELOOP') throw refused(path, 'it is a symbolic link')
    throw error
  }
  try {
    const found = fstatSync(file)
    if (!found.isFile()) throw refused(path, 'it is no plain file')
    if (found.uid !== process.geteuid?.()) throw refused(path, 'it belongs to another user')
    if (found.nlink !== 1) throw refused(path, 'it has a second name (a hard link)')
    if (found.size > BYTES_MAX) throw refused(path, `it is larger than ${BYTES_MAX} bytes`)
    if ((found.mode & OTHERS) !== 0) fchmodSync(file, 0o600)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** The file's text; null where there is none. @throws LogpipeError STORE */
export function readOwnFile(path: string): string | null {
  const file = openOwnFile(path)
  if (file === null) return null
  try {
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

/**
 * The text of a file that holds a secret; where there is none, a random secret is made and is on
 * the disk before anybody hears it.
 * @throws LogpipeError STORE
 */
export function ownSecret(path: string): string {
  const kept = readOwnFile(path)
  if (kept !== null) return kept
  const text = `${randomBytes(32).toString('base64url')}\n`
  const partial = `${path}.partial`
  rmSync(partial, { force: true })
  const file = openSync(partial, 'wx', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(partial, path)
  return text
}

function refused(path: string, why: string): LogpipeError {
  return new LogpipeError('STORE', `${path} is refused: ${why}; remove it or name another place`)
}
