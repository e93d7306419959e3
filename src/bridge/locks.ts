/** Locks on files: flock(2) through the add-on, which goes with the process however it ends. */
import type { Locks } from '../core/disk.ts'
import { checkOwnFile } from '../core/own-file.ts'
import type { Bridge } from './bridge.ts'

type FileLocks = Pick<Bridge, 'fileLock' | 'fileUnlock'>

/** As the spill and the dead letters want it. */
export function bridgeLocks(bridge: FileLocks): Locks {
  return {
    lock: (file) => bridge.fileLock(file),
    unlock: (id) => bridge.fileUnlock(id),
  }
}

/**
 * As the control plane and sync want it. The file is looked at first: whoever owns it could hold
 * the lock.
 * @returns what takes a lock: its release, or undefined when another process holds it.
 */
export function fileLocks(bridge: FileLocks): (file: string) => (() => void) | undefined {
  return (file) => {
    checkOwnFile(file, true)
    const id = bridge.fileLock(file)
    return id === null ? undefined : () => bridge.fileUnlock(id)
  }
}
