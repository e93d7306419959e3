/**
 * Finding and loading the add-on.
 *
 * The one place that knows its file. It is loaded in main before any thread is started, and again
 * in every thread (which costs nothing: the library is in the process already).
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { isPacked, packedAddon } from '../core/program-files.ts'
import * as layout from '../pool/layout.ts'
import { FILL_EVENTS, FILL_FULL, type Bridge } from './bridge.ts'

/** What the add-on must have been compiled with: every number that C++ and TypeScript share. */
const EXPECTED: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    Object.entries(layout).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    ),
  ),
  FILL_EVENTS,
  FILL_FULL,
}

/**
 * Loads the add-on from `file`, or the program's own when it is undefined.
 *
 * Throws LogpipeError('BRIDGE_LOAD') when it is missing, cannot be loaded, or was compiled from
 * other sources than these.
 */
export function loadBridge(file: string | undefined): Bridge {
  const found = bridgeFile(file)
  if (!existsSync(found)) throw failure(found, 'the file does not exist')
  if (isCutOff(found)) throw failure(found, 'the file is truncated')
  let loaded: unknown
  try {
    loaded = createRequire(found)(found)
  } catch (cause) {
    throw failure(found, messageOf(cause), cause)
  }
  const differences = differencesOf(loaded)
  if (differences !== undefined) throw failure(found, differences)
  return loaded as Bridge
}

/**
 * The full path of the add-on: `file`, or the program's own.
 *
 * Throws LogpipeError('CACHE') when the executable has no place for its own.
 */
export function bridgeFile(file: string | undefined): string {
  if (file !== undefined) return path.resolve(file)
  if (isPacked()) return packedAddon('bridge')
  return path.join(import.meta.dirname, '../../build/bridge.node')
}

const HINT_CHECKOUT = 'Build it with: npm run setup'
const HINT_PACKED = 'Unset BRIDGE_LIB to use the one inside the program'

/** Every linker puts the table of segments behind the header: a dozen entries of 56 bytes. */
const HEAD_BYTES = 4096

/**
 * Whether an ELF file ends before its segments do. The dynamic linker maps them without a look at
 * the size of the file, and touching what is not there ends the process by SIGBUS.
 * Fields: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html (64 bits, little endian)
 */
function isCutOff(file: string): boolean {
  const head = Buffer.alloc(HEAD_BYTES)
  const descriptor = openSync(file, 'r')
  try {
    const { size } = fstatSync(descriptor)
    readSync(descriptor, head, 0, HEAD_BYTES, 0)
    const isElf64 = head.readUInt32BE(0) === 0x7f454c46 && head[4] === 2 && head[5] === 1
    if (!isElf64) return false
    const tableAt = Number(head.readBigUInt64LE(0x20))
    const entryBytes = head.readUInt16LE(0x36)
    const tableEnd = tableAt + head.readUInt16LE(0x38) * entryBytes
    if (tableEnd > HEAD_BYTES || entryBytes < 56) return tableEnd > size
    for (let at = tableAt; at < tableEnd; at += entryBytes) {
      if (head.readBigUInt64LE(at + 8) + head.readBigUInt64LE(at + 32) > size) return true
    }
    return false
  } finally {
    closeSync(descriptor)
  }
}

/** Undefined when `loaded` is the add-on that belongs to these sources. */
function differencesOf(loaded: unknown): string | undefined {
  if (typeof loaded !== 'object' || loaded === null || !('version' in loaded)) {
    return 'it is not a bridge: it has no version'
  }
  const { version } = loaded
  if (typeof version !== 'function') return 'it is not a bridge: its version is not a function'
  const answer: unknown = Reflect.apply(version, loaded, [])
  const actual = layoutOf(answer)
  const names = new Set([...Object.keys(EXPECTED), ...Object.keys(actual)])
  for (const name of names) {
    if (EXPECTED[name] === actual[name]) continue
    const has = `${name} is ${String(actual[name])}, expected ${String(EXPECTED[name])}`
    return `it was built from other sources (${has})`
  }
  return hasWholeBatches(answer) ? undefined : "its librdkafka was built without logpipe's changes"
}

function hasWholeBatches(version: unknown): boolean {
  return typeof version === 'object' && version !== null && 'wholeBatches' in version
    ? version.wholeBatches === true
    : false
}

function layoutOf(version: unknown): Readonly<Record<string, unknown>> {
  if (typeof version !== 'object' || version === null || !('layout' in version)) return {}
  const { layout: found } = version
  return typeof found === 'object' && found !== null ? { ...found } : {}
}

function failure(file: string, why: string, cause?: unknown): LogpipeError {
  // dlopen's texts may span lines and repeat the path.
  const line = why.split('\n')[0]?.replaceAll(`${file}: `, '') ?? ''
  return new LogpipeError(
    'BRIDGE_LOAD',
    `cannot load the add-on ${file}: ${line}. ${isPacked() ? HINT_PACKED : HINT_CHECKOUT}`,
    { cause },
  )
}
