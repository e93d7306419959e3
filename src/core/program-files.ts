/**
 * The program's own files: on disk in a checkout, inside the executable otherwise. The one place
 * that knows which of the two this is.
 *
 * Assets of the executable (build.mjs makes them):
 *   build.json        BuildFacts
 *   addons.json       the id of the set, and the SHA-256 of each file
 *   addons/NAME       the add-ons, and the libraries beside them
 *   js/loader.cjs     what runs the scripts, in main and in every thread
 *   js/*.js           the scripts
 *   web/PATH          the dashboard
 *   licenses.txt      what `logpipe licenses` prints
 */
import path from 'node:path'
import { getAsset, getAssetKeys, getRawAsset, isSea } from 'node:sea'
import { placeAddons, type AddonSet } from './addon-cache.ts'

export type AddonName = 'bridge' | 'kafka' | 'sqlite'

/** Facts written into the executable by its build. */
export interface BuildFacts {
  readonly version: string
  readonly commit: string
  readonly librdkafka: string
  readonly sqlite: string
}

/** The files of an add-on: the libraries it needs, then itself. */
const FILES: Readonly<Record<AddonName, readonly string[]>> = {
  bridge: ['librdkafka.so.1', 'libhs.so.5', 'bridge.node'],
  kafka: ['librdkafka.so.1', 'kafka.node'],
  sqlite: ['sqlite.node'],
}

let cacheFolders: readonly string[] = []
const placed = new Map<AddonName, string>()

/** Whether this is the executable, which has everything inside. */
export const isPacked = isSea

/** Says where the executable may put its add-ons, the best folder first; main does so at once. */
export function useCacheFolders(folders: readonly string[]): void {
  cacheFolders = folders
}

/**
 * The file of an add-on of the executable, checked by its hash when it is first asked for.
 * @throws LogpipeError CACHE when there is no place for it
 */
export function packedAddon(name: AddonName): string {
  const known = placed.get(name)
  if (known !== undefined) return known
  const { id, hashes } = JSON.parse(getAsset('addons.json', 'utf8')) as Omit<AddonSet, 'read'>
  const files = FILES[name]
  const read = (file: string) => new Uint8Array(getRawAsset(`addons/${file}`) as ArrayBuffer)
  const folder = placeAddons({ id, hashes, read }, files, cacheFolders)
  const found = path.join(folder, files.at(-1) ?? '')
  placed.set(name, found)
  return found
}

/** The facts of the executable; null in a checkout. */
export function buildFacts(): BuildFacts | null {
  return isPacked() ? (JSON.parse(getAsset('build.json', 'utf8')) as BuildFacts) : null
}

/** A text inside the executable; null when it has no such, and in a checkout. */
export function packedText(key: string): string | null {
  if (!isPacked() || !getAssetKeys().includes(key)) return null
  return getAsset(key, 'utf8')
}

/** The files below a folder of the executable, by their path from there; none in a checkout. */
export function packedFiles(folder: string): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  const keys = isPacked() ? getAssetKeys().filter((key) => key.startsWith(`${folder}/`)) : []
  return new Map(
    keys.map((key) => [key.slice(folder.length + 1), new Uint8Array(getAsset(key))] as const),
  )
}
