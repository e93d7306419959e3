/** A process as the commands see it, with nothing to show on: for tests to spread and override. */
import type { Host } from '../../src/cli/context.ts'

export const QUIET_HOST: Host = {
  env: {},
  print: () => undefined,
  columns: 80,
  rows: () => null,
  stderr: { write: () => undefined, isTerminal: false, columns: () => 80 },
  stopSignal: () => new AbortController().signal,
  onHangup: () => undefined,
}
