/** LOCK_FILE: one at a time of those that name the same file, as of cron's runs that overlap. */
import path from 'node:path'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { checkOwnFile } from '../core/own-file.ts'
import type { Config } from '../options/config.ts'

/**
 * Runs with the lock; without LOCK_FILE just runs. The file stays, as removing it would let two in.
 * @throws LogpipeError LOCKED when another process holds it, or the file cannot be made.
 */
export async function underLock<T>(
  { lockFile, bridgeLib }: Pick<Config, 'lockFile' | 'bridgeLib'>,
  run: () => Promise<T>,
  load: (file: string | undefined) => Pick<Bridge, 'fileLock' | 'fileUnlock'> = loadBridge,
): Promise<T> {
  if (lockFile === null) return run()
  const bridge = load(bridgeLib ?? undefined)
  let lock: number | null
  try {
    const file = path.resolve(lockFile)
    checkOwnFile(file)
    lock = bridge.fileLock(file)
  } catch (cause) {
    throw new LogpipeError('LOCKED', `LOCK_FILE: ${messageOf(cause)}`, { cause })
  }
  if (lock === null) {
    throw new LogpipeError('LOCKED', `${lockFile} (LOCK_FILE) is locked by another process`)
  }
  try {
    return await run()
  } finally {
    bridge.fileUnlock(lock)
  }
}
