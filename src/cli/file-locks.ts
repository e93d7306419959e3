/**
 * Locks on files for the control plane and for sync: flock(2) through the add-on, which goes with
 * the process however it ends.
 */
import type { Bridge } from '../bridge/bridge.ts'

/** @returns what takes a lock: its release, or undefined when another process holds it. */
export function fileLocks(
  bridge: Pick<Bridge, 'fileLock' | 'fileUnlock'>,
): (file: string) => (() => void) | undefined {
  return (file) => {
    const id = bridge.fileLock(file)
    return id === null ? undefined : () => bridge.fileUnlock(id)
  }
}
