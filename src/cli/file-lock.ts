/** LOCK_FILE: one at a time of those that name the same file, as of cron's runs that overlap. */
import path from 'node:path'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { checkOwnFile } from '../core/own-file.ts'
import type { Config } from '../options/config.ts'

/**
 * Runs with the lock; without LOCK_FILE just runs. The file stays, as removing it would let two in.
 * @throws LogpipeError LOCK_HELD when another process holds it, LOCKED when there can be no file.
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
    checkOwnFile(file, true)
    lock = bridge.fileLock(file)
  } catch (cause) {
    throw new LogpipeError('LOCKED', `LOCK_FILE: ${messageOf(cause)}`, { cause })
  }
  if (lock === null) {
    const held = `${lockFile} (--lock) is held by another process`
    throw new LogpipeError('LOCK_HELD', `${held}: that run goes on, this one ends`)
  }
  try {
    return await run()
  } finally {
    bridge.fileUnlock(lock)
  }
}
