/** A process as the commands see it, which keeps what they print; locks that need no add-on. */
import type { CommandContext } from '../../src/cli/context.ts'
import { TestLocks } from '../helpers/spills.ts'
import { QUIET_HOST } from './quiet-host.ts'

export interface RecordedHost {
  readonly context: (args: readonly string[]) => CommandContext
  /** What was printed since the last call. */
  readonly printed: () => string
  /** The same for stderr. */
  readonly told: () => string
}

export function recordedHost(env: Readonly<Record<string, string>> = {}): RecordedHost {
  let out = ''
  let error = ''
  const take = (text: string, clear: () => void): string => {
    clear()
    return text
  }
  return {
    context: (args) => ({
      ...QUIET_HOST,
      args,
      env,
      print: (text) => {
        out += text
      },
      stderr: {
        ...QUIET_HOST.stderr,
        write: (text) => {
          error += text
        },
      },
    }),
    printed: () => take(out, () => (out = '')),
    told: () => take(error, () => (error = '')),
  }
}

/** In place of flock; one for each test. */
export function testLocks() {
  const locks = new TestLocks()
  return {
    fileLock: (file: string) => locks.lock(file),
    fileUnlock: (id: number) => locks.unlock(id),
  }
}
