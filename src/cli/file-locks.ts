/**
 * Locks on files for the control plane and for sync: flock(2) through the add-on, which goes with
 * the process however it ends. The file is looked at first: whoever owns it could hold the lock.
 */
import type { Bridge } from '../bridge/bridge.ts'
import { checkOwnFile } from '../core/own-file.ts'

/** @returns what takes a lock: its release, or undefined when another process holds it. */
export function fileLocks(
  bridge: Pick<Bridge, 'fileLock' | 'fileUnlock'>,
): (file: string) => (() => void) | undefined {
  return (file) => {
    checkOwnFile(file)
    const id = bridge.fileLock(file)
    return id === null ? undefined : () => bridge.fileUnlock(id)
  }
}
