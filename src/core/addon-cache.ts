/**
 * Writes the executable's add-ons to disk, because the dynamic linker loads files only.
 *
 * Each set of add-ons has a folder, named by its content, below the first usable candidate. Only
 * the user may write there, and no other user can replace a folder above it. At each start, every
 * file is checked by its hash before it is loaded. A missing or different file is written under a
 * temporary name and renamed: two processes that start together never see half a file, and a
 * process that has the old file mapped keeps it.
 *
 * Bound: SETS_KEPT sets stay; older ones go when a set is written.
 */
import fs from 'node:fs'
import path from 'node:path'
import { LogpipeError } from './errors.ts'
import { exchangeFaultAbove, ownId } from './own-file.ts'

export interface AddonSet {
  /** Names the content of all files. */
  readonly id: string
  /** SHA-256 of each file, in hex. */
  readonly hashes: Readonly<Record<string, string>>
  readonly read: (name: string) => Uint8Array
}

/** This version, the one before, and one that is being tried. */
const SETS_KEPT = 3
/** Files of a writer that died are deleted after an hour: no write takes that long. */
const PARTIAL_MS_MAX = 3_600_000
const OTHERS = 0o077

/** Loaded when a file is looked at: it takes 9 ms, and `logpipe --version` has 15. */
const crypto = () => process.getBuiltinModule('node:crypto')

/**
 * Makes sure that these files of the set lie in one folder, and can be loaded.
 * @param folders candidates, the best first. Each gets mode 0700.
 * @returns the folder
 * @throws LogpipeError CACHE when none of the folders can be used, with the reason for each
 */
export function placeAddons(
  set: AddonSet,
  names: readonly string[],
  folders: readonly string[],
): string {
  const reasons: string[] = []
  for (const folder of folders) {
    try {
      return placeIn(folder, set, names)
    } catch (error) {
      reasons.push(`${folder}: ${reasonOf(error)}`)
    }
  }
  throw new LogpipeError(
    'CACHE',
    'no writable directory without noexec for the add-ons: ' +
      `${reasons.join('; ')}. Set XDG_CACHE_HOME or TMPDIR to one`,
  )
}

function placeIn(folder: string, set: AddonSet, names: readonly string[]): string {
  makePrivate(folder)
  // By its own path from here on: a link above it may point elsewhere by the time of the loading.
  const own = fs.realpathSync(folder)
  const home = path.join(own, set.id)
  makePrivate(home)
  const isNew = names.filter((name) => placeFile(path.join(home, name), set, name)).length > 0
  if (isNew) removeOld(own, home)
  for (const name of names) assertExecutable(path.join(home, name))
  return home
}

class Unusable extends LogpipeError {
  constructor(message: string) {
    super('CACHE', message)
  }
}

/** Makes the folder the user's alone; refuses one that another user could exchange. */
function makePrivate(folder: string): void {
  makeFolder(folder)
  const found = fs.lstatSync(folder)
  const { uid, mode } = found
  if (!found.isDirectory()) throw new Unusable('not a directory')
  if (uid !== ownId()) throw new Unusable('it belongs to another user')
  if ((mode & OTHERS) !== 0) fs.chmodSync(folder, 0o700)
  const fault = exchangeFaultAbove(folder)
  if (fault !== undefined) throw new Unusable(fault)
}

/** Not by Node's own `recursive`, which never returns where mkdir(2) says ENOENT (below /proc). */
function makeFolder(folder: string): void {
  if (fs.existsSync(folder)) return
  makeFolder(path.dirname(folder))
  try {
    fs.mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    // Another start was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** @returns whether it had to be written */
function placeFile(file: string, set: AddonSet, name: string): boolean {
  if (isIntact(file, set.hashes[name])) return false
  const partial = `${file}.${process.pid}.${crypto().randomBytes(6).toString('hex')}.partial`
  try {
    // The mark of a program is what assertExecutable looks for: the loader itself does not need it.
    fs.writeFileSync(partial, set.read(name), { flag: 'wx', mode: 0o700 })
    fs.renameSync(partial, file)
  } catch (error) {
    fs.rmSync(partial, { force: true })
    throw error
  }
  return true
}

function isIntact(file: string, hash: string | undefined): boolean {
  const found = fs.lstatSync(file, { throwIfNoEntry: false })
  if (found?.isFile() !== true || found.uid !== ownId() || (found.mode & OTHERS) !== 0) return false
  return crypto().createHash('sha256').update(fs.readFileSync(file)).digest('hex') === hash
}

/** On a file system mounted noexec access(2) refuses what its mode allows. */
function assertExecutable(file: string): void {
  try {
    fs.accessSync(file, fs.constants.X_OK)
  } catch {
    throw new Unusable('its file system is mounted noexec')
  }
}

/** Removes the oldest sets and files of dead writers; running processes have theirs mapped. */
function removeOld(folder: string, home: string): void {
  const ageOf = (entry: string) => Date.now() - fs.statSync(entry).mtimeMs
  try {
    const partials = fs.readdirSync(home).filter((name) => name.endsWith('.partial'))
    for (const name of partials) {
      const partial = path.join(home, name)
      if (ageOf(partial) > PARTIAL_MS_MAX) fs.rmSync(partial, { force: true })
    }
    const others = fs
      .readdirSync(folder)
      .filter((name) => /^[0-9a-f]{16,64}$/.test(name))
      .map((name) => path.join(folder, name))
      .filter((other) => other !== home)
      .sort((one, two) => ageOf(one) - ageOf(two))
    for (const old of others.slice(SETS_KEPT - 1)) {
      fs.rmSync(old, { recursive: true, force: true })
    }
  } catch {
    // Another start tidies up at the same time; the next one removes the rest.
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Unusable) return error.message
  const { code, syscall } = error as NodeJS.ErrnoException
  return SAID[code ?? ''] ?? `${syscall ?? 'it'} failed (${code ?? String(error)})`
}

const SAID: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left',
  EDQUOT: 'the quota is exhausted',
  ENOENT: 'it cannot be created there',
  ENOTDIR: 'a file is in the way',
  EEXIST: 'a file is in the way',
}
