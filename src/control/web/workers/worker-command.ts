/**
 * The exact command that starts a worker of this control plane, as seen from this browser.
 */
import type { About } from '../data/api-types.ts'

export function workerCommand(about: About, origin: string, workerId: string): string {
  const url = new URL(origin)
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  const command = `${about.program} sync --worker-id ${workerId} --control-plane-url ${url.origin}`
  if (local && !about.worker_token_binds) return command
  // The file lies beside the control plane's database, maybe on another machine.
  const token =
    about.worker_token_file === null
      ? 'WORKER_TOKEN=...'
      : `WORKER_TOKEN="$(cat ${about.worker_token_file})"`
  return `${token} ${command}`
}

/** worker-1, or the next number that nobody has. */
export function nextWorkerId(taken: readonly string[]): string {
  const names = new Set(taken)
  let count = 1
  while (names.has(`worker-${count}`)) count++
  return `worker-${count}`
}
