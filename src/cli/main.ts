/**
 * The entry point, and the only place that exits: 0 done, 1 failed, 2 usage, 3 data lost or books
 * out of balance.
 *
 * A LogpipeError becomes one line on stderr; anything else is a bug of logpipe and says so, with
 * the stack at --log-level debug. Commands are loaded when they are asked for: `--help` and
 * `--version` load neither the add-on nor a heavy package.
 */
import { closeSync, openSync } from 'node:fs'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { useCacheFolders } from '../core/program-files.ts'
import { cacheFolders } from './this-program.ts'
import type { Host } from './context.ts'
import { dispatch } from './dispatch.ts'
import { isStartedBySync } from './parent-link.ts'

/** Whether stack traces are wanted; looked for in the raw input, since parsing may have failed. */
function wantsStacks(): boolean {
  const args = process.argv.slice(2)
  const at = args.indexOf('--log-level')
  const level = at === -1 ? process.env['LOG_LEVEL'] : args[at + 1]
  return args.includes('--log-level=debug') || level === 'debug'
}

/** Tells what went wrong in one line, and where in an expression. @returns the exit status */
function report(thrown: unknown): number {
  const isExpected = thrown instanceof LogpipeError
  // The reader of the output has gone: whoever ran `logpipe ... | head` knows.
  if (isExpected && thrown.code === 'OUTPUT_CLOSED') return 0
  const advice = wantsStacks() ? '' : ' (a bug in logpipe; --log-level debug shows where)'
  for (const text of isExpected ? thrown.lines : [messageOf(thrown)]) {
    const line = printable(text.replaceAll(/\s*\n\s*/g, ' '))
    process.stderr.write(`logpipe: ${isExpected ? line : `internal error: ${line}${advice}`}\n`)
  }
  if (isExpected && thrown.below !== '') {
    process.stderr.write(`${thrown.below.split('\n').map(printable).join('\n')}\n`)
  }
  if (wantsStacks() && thrown instanceof Error) {
    const lines = stackOf(thrown).split('\n').map(printable)
    process.stderr.write(`${lines.join('\n')}\n`)
  }
  return isExpected ? thrown.exitStatus : 1
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}

let stop: AbortController | null = null

/**
 * The first signal asks for an orderly end, the second one is obeyed at once. Not by the child of a
 * sync: the terminal or systemd signal both, and sync then signals its child again. It is drained
 * by sync's deadline, and killed behind it.
 */
function stopSignal(): AbortSignal {
  if (stop !== null) return stop.signal
  const controller = new AbortController()
  stop = controller
  const isChild = isStartedBySync(process.env)
  for (const [name, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && !isChild) process.exit(status)
      controller.abort(name)
    })
  }
  return controller.signal
}

/** A command that listens for SIGHUP does so by then; a start takes a fraction of it. */
const HANGUP_HELD_MS = 3000
let onHeldHangup: (() => void) | null = null
let hangupsHeld = 0

/**
 * A SIGHUP that comes before the command listens is kept for it: a supervisor that reloads what it
 * has just started must not end it. A command that never listens ends as it always did, a little
 * later.
 */
function holdHangups(): void {
  process.on('SIGHUP', () => {
    if (onHeldHangup !== null) return onHeldHangup()
    hangupsHeld++
    setTimeout(() => {
      if (onHeldHangup !== null) return
      process.removeAllListeners('SIGHUP')
      process.kill(process.pid, 'SIGHUP')
    }, HANGUP_HELD_MS).unref()
  })
}

/**
 * SIGHUP asks for new settings, or says that the terminal was closed: then there is nobody to run
 * for, and it means what it always did.
 */
function onHangup(listener: () => void): void {
  const hadTerminal = process.stderr.isTTY || process.stdin.isTTY
  onHeldHangup = () => {
    if (hadTerminal && !hasTerminal()) stop?.abort('SIGHUP')
    else listener()
  }
  if (hangupsHeld > 0) setImmediate(onHeldHangup)
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    // ENXIO: the terminal of this process is no more.
    return false
  }
}

/** A closed pipe ends what only prints, quietly; a pipeline's own output watches for it itself. */
function quietOnClosedPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : report(error))
  })
  // Without a reader of the status lines the pipeline goes on.
  process.stderr.on('error', () => undefined)
}

const host: Host = {
  env: process.env,
  print: (text) => process.stdout.write(text),
  columns: process.stdout.columns ?? 80,
  rows: () => (process.stdout.isTTY ? process.stdout.rows : null),
  stderr: {
    write: (text) => process.stderr.write(text),
    isTerminal: process.stderr.isTTY,
    columns: () => process.stderr.columns ?? 80,
  },
  stopSignal,
  onHangup,
}

async function main(): Promise<void> {
  holdHangups()
  quietOnClosedPipes()
  process.on('uncaughtException', (error) => process.exit(report(error)))
  useCacheFolders(cacheFolders(process.env))
  try {
    process.exitCode = await dispatch(process.argv.slice(2), host)
  } catch (error) {
    process.exitCode = report(error)
  }
  // Handles that a failed command left open must not keep the process alive; what was printed to a
  // pipe is out when this callback runs.
  process.stdout.write('', () => process.exit())
}

void main()
