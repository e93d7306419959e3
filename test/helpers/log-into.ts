/** A plain log as a pipe gets it, for what a test has to hear of it, or not. */
import { Log } from '../../src/core/log.ts'

export function logInto(write: (text: string) => unknown): Log {
  return new Log({
    format: 'plain',
    level: 'info',
    quiet: false,
    isTerminal: false,
    columns: () => 80,
    write,
  })
}
