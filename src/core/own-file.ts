/**
 * Opens files that this program made and that contain a secret or decide what runs: a token, a key,
 * a database, a state file, a lock, an add-on.
 *
 * Such a file must be a regular file without links, owned by this process's user and readable by
 * nobody else (a wrong mode is corrected); otherwise it is refused. Another user's file there would
 * let that user choose our token, or read it. Nobody else may be able to replace files in its
 * folder.
 */
import fs from 'node:fs'
import path from 'node:path'
import { LogpipeError } from './errors.ts'

/** The largest such file that is read whole, a worker's state, has some KB. */
const BYTES_MAX = 4 * 1024 * 1024
const OTHERS = 0o077
const STICKY = 0o1000

/**
 * @returns a descriptor, to be closed by the caller; null where there is no such file.
 * @throws LogpipeError STORE that names the problem.
 */
function openOwnFile(file: string, flags: number = fs.constants.O_RDONLY): number | null {
  const { O_NOFOLLOW, O_NONBLOCK } = fs.constants
  let descriptor: number
  try {
    // Not blocking: a FIFO at this name would wait for its writer.
    descriptor = fs.openSync(file, flags | O_NOFOLLOW | O_NONBLOCK, 0o600)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    if (code === 'ELOOP') throw refused(file, 'it is a symbolic link')
    throw error
  }
  try {
    const found = fs.fstatSync(descriptor)
    if (!found.isFile()) throw refused(file, 'it is not a regular file')
    if (found.uid !== ownId()) throw refused(file, 'it belongs to another user')
    if (found.nlink !== 1) throw refused(file, 'it has a second name (a hard link)')
    if ((found.mode & OTHERS) !== 0) fs.fchmodSync(descriptor, 0o600)
    return descriptor
  } catch (error) {
    fs.closeSync(descriptor)
    throw error
  }
}

/**
 * Looks at a file that other code is about to open by its name, as SQLite does and flock(2).
 * @param make an empty one where there is none, so that it never exists with wider permissions
 * @throws LogpipeError STORE
 */
export function checkOwnFile(file: string, make = false): void {
  const { O_RDONLY, O_RDWR, O_CREAT } = fs.constants
  const descriptor = openOwnFile(file, make ? O_RDWR | O_CREAT : O_RDONLY)
  if (descriptor !== null) fs.closeSync(descriptor)
}

/** The file's text; null where there is none. @throws LogpipeError STORE */
export function readOwnFile(file: string): string | null {
  const descriptor = openOwnFile(file)
  if (descriptor === null) return null
  try {
    if (fs.fstatSync(descriptor).size > BYTES_MAX) {
      throw refused(file, `it is larger than ${BYTES_MAX} bytes`)
    }
    return fs.readFileSync(descriptor, 'utf8')
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Puts this text there, whole or not at all; it is on the disk when this returns. */
export function writeOwnFile(file: string, text: string): void {
  const partial = `${file}.partial`
  fs.rmSync(partial, { force: true })
  const descriptor = fs.openSync(partial, 'wx', 0o600)
  try {
    // To its end: one write(2) stops where the disk is full, and says so only the next time.
    fs.writeFileSync(descriptor, text)
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
  fs.renameSync(partial, file)
  syncFolder(path.dirname(file))
}

/**
 * The text of a file that holds a secret; where there is none, a random secret is made and is on
 * the disk before anybody hears it.
 * @throws LogpipeError STORE
 */
export function ownSecret(file: string): string {
  const kept = readOwnFile(file)
  if (kept !== null) return kept
  const text = `${process.getBuiltinModule('node:crypto').randomBytes(32).toString('base64url')}\n`
  writeOwnFile(file, text)
  return text
}

/**
 * Makes a folder for such files, with what is missing above it. One of ours that others may write
 * to is closed to them.
 * @throws LogpipeError STORE for one that somebody else could exchange, or files in it.
 */
export function ownFolder(folder: string): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = fs.statSync(folder)
  if (uid === ownId() && (mode & STICKY) === 0 && isWritableByOthers(folder)) {
    fs.chmodSync(folder, mode & 0o7755)
  }
  const fault = exchangeFaultAbove(folder)
  if (fault === undefined) return
  const advice = 'change its owner or mode, or choose another directory'
  throw new LogpipeError('STORE', `${folder} is not safe for secrets: ${fault}; ${advice}`)
}

/**
 * Who besides us could put another file or folder in the place of one that lies in this folder;
 * undefined: nobody. In a sticky folder nobody may but its owner.
 */
function exchangeFault(folder: string): string | undefined {
  const { uid, mode } = fs.statSync(folder)
  if (!isTrusted(uid)) return `${folder} belongs to another user`
  if ((mode & STICKY) !== 0 || !isWritableByOthers(folder)) return undefined
  return (mode & 0o002) === 0
    ? `a group of several users may write to ${folder}`
    : `everyone may write to ${folder}`
}

/**
 * The same of each folder on the way to this one, and so of the folders that links on it stand in:
 * where one is exchanged, all below are others.
 */
export function exchangeFaultAbove(folder: string): string | undefined {
  const names = path.resolve(folder).split(path.sep)
  let at: string = path.parse(path.resolve(folder)).root
  let linkCount = 0
  let fault = exchangeFault(at)
  for (let name = names.shift(); name !== undefined && fault === undefined; name = names.shift()) {
    const next = path.join(at, name)
    const found = fs.lstatSync(next)
    if (found.isSymbolicLink()) {
      // In a sticky folder its owner may exchange it.
      if (isSticky(at) && !isTrusted(found.uid)) return `the link ${next} belongs to another user`
      if (++linkCount > LINKS_MAX) return `more than ${LINKS_MAX} links lead there`
      const target = fs.readlinkSync(next)
      if (path.isAbsolute(target)) at = path.parse(target).root
      names.unshift(...target.split(path.sep))
    } else if (next !== at) {
      at = next
      fault = exchangeFault(at)
    }
  }
  return fault
}

/** As many as Linux follows (path_resolution(7)). */
const LINKS_MAX = 40

function isSticky(folder: string): boolean {
  return (fs.statSync(folder).mode & STICKY) !== 0
}

/** By everyone, or by a group in which there is somebody else. */
function isWritableByOthers(folder: string): boolean {
  const { mode, gid } = fs.statSync(folder)
  if ((mode & 0o002) !== 0) return true
  return (mode & 0o020) !== 0 && gid !== 0 && !isAlone(gid)
}

/**
 * Whether this machine's own files name nobody else in the group. So it is with the private groups
 * of users, and with the groups that a scheduler gives to volumes. No directory service is asked.
 */
function isAlone(gid: number): boolean {
  const rowsOf = (file: string) =>
    fs
      .readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const row = line.split(':')
        return row.length > 3 ? [row] : []
      })
  try {
    const users = rowsOf('/etc/passwd')
    const own = users.find(([, , uid]) => Number(uid) === ownId())?.[0]
    const primary = users.filter((row) => Number(row[3]) === gid).map(([name]) => name)
    const named = rowsOf('/etc/group')
      .filter((row) => Number(row[2]) === gid)
      .flatMap((row) => (row[3] ?? '').split(','))
    return [...primary, ...named].every((name) => name === '' || name === own)
  } catch {
    return false // Without these files it cannot be told.
  }
}

/** We, root, and who stands for root outside a container. */
function isTrusted(uid: number): boolean {
  return uid === ownId() || uid === 0 || isUnmapped(uid)
}

/**
 * Whether an id stands for every user that this process's user namespace does not know
 * (user_namespaces(7)); outside of one it is that of a user, nobody.
 */
export function isUnmapped(uid: number): boolean {
  return uid === UNMAPPED && isInUserNamespace()
}

const UNMAPPED = 65_534

function isInUserNamespace(): boolean {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(fs.readFileSync('/proc/self/uid_map', 'utf8'))
  } catch {
    return false // Without /proc it cannot be told.
  }
}

export function ownId(): number {
  return process.geteuid?.() ?? -1
}

/** A new name is durable when its folder is on the disk. */
function syncFolder(folder: string): void {
  const descriptor = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

function refused(file: string, why: string): LogpipeError {
  return new LogpipeError(
    'STORE',
    `refusing to use ${file}: ${why}; delete it or choose another path`,
  )
}
