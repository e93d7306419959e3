/** The add-on's flock(2) as the spill and the dead letters want it. */
import type { Bridge } from '../bridge/bridge.ts'
import type { Locks } from '../core/disk.ts'

export function bridgeLocks(bridge: Pick<Bridge, 'fileLock' | 'fileUnlock'>): Locks {
  return {
    lock: (file) => bridge.fileLock(file),
    unlock: (id) => bridge.fileUnlock(id),
  }
}
