/**
 * The child: a `logpipe run` as a process, with what sync gives it and hears from it.
 *
 *   fd 0  commands to it, one JSON object a line; the end of it says that sync is gone: drain
 *   fd 1, 2  its log: kept are the last lines, for when it dies
 *   fd 3  secrets: one JSON object of names and values, then the end (LOGPIPE_SECRETS_FD)
 *   fd 4  its replies, one JSON object a line (LOGPIPE_REPLY_FD)
 *
 * Secrets never stand in the environment or the arguments, which other processes of the user can
 * read. A line longer than LINE_CHARS_MAX is cut.
 */
import { spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { messageOf } from '../core/errors.ts'

export interface Launch {
  /** The program, then its arguments. */
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly secrets: Readonly<Record<string, string>>
}

export interface Exit {
  readonly code: number | null
  readonly signal: string | null
  /** When it could not even be started. */
  readonly error: string | null
}

export interface Child {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined
  readonly exited: Promise<Exit>
  /** The last lines it wrote. */
  lastLines(): readonly string[]
  /** Sends a command; false when it cannot take one now. */
  send(command: unknown): boolean
  /** Asks it to drain and end. */
  terminate(): void
  kill(): void
}

export interface ChildEvents {
  readonly onLine: (line: string) => void
  readonly onReply: (reply: unknown) => void
}

export type SpawnChild = (launch: Launch, events: ChildEvents) => Child

const LAST_LINES_MAX = 40
const LINE_CHARS_MAX = 4096
/** Of a reply: a batch of tail entries. */
const REPLY_CHARS_MAX = 1024 * 1024

export const spawnChild: SpawnChild = (launch, events) =>
  // Node throws where the system has no memory or no descriptor for it, where its environment is
  // too long, or where a folder on the way to the program is none.
  startedBy(() => startChild(launch, events))

/** What `start` gives; a child that ended before it began when it throws. */
export function startedBy(start: () => Child): Child {
  try {
    return start()
  } catch (error) {
    return unstarted(messageOf(error))
  }
}

function unstarted(why: string): Child {
  return {
    pid: undefined,
    exited: Promise.resolve({ code: null, signal: null, error: why }),
    lastLines: () => [],
    send: () => false,
    terminate: () => undefined,
    kill: () => undefined,
  }
}

function startChild(launch: Launch, { onLine, onReply }: ChildEvents): Child {
  const [program = '', ...args] = launch.command
  const started = spawn(program, args, {
    env: {
      ...launch.environment,
      LOGPIPE_SECRETS_FD: '3',
      LOGPIPE_REPLY_FD: '4',
      LOGPIPE_PARENT_STDIN: '1',
    },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const keep = (line: string): void => {
    lines.push(line)
    if (lines.length > LAST_LINES_MAX) lines.shift()
    onLine(line)
  }
  for (const output of [started.stdout, started.stderr]) {
    if (output !== null) eachLine(output, LINE_CHARS_MAX, keep)
  }
  const [, , , secrets, replies] = started.stdio
  const commands = started.stdin
  // A child that dies early closes its ends: it is its exit that matters, not the broken pipe.
  for (const pipe of [commands, secrets, replies]) pipe?.on('error', () => undefined)
  if (secrets !== null && secrets !== undefined && 'write' in secrets) {
    ;(secrets as Writable).end(JSON.stringify(launch.secrets))
  }
  if (replies !== null && replies !== undefined && 'read' in replies) {
    eachLine(replies as Readable, REPLY_CHARS_MAX, (line) => {
      const reply = parsed(line)
      if (reply !== undefined) onReply(reply)
    })
  }
  const exited = new Promise<Exit>((resolve) => {
    started.once('error', (error) => resolve({ code: null, signal: null, error: error.message }))
    // 'close' comes after the last line; a grandchild that holds a pipe must not delay it for ever.
    started.once('exit', (code, signal) => {
      const done = (): void => resolve({ code, signal, error: null })
      const timer = setTimeout(done, 500)
      started.once('close', () => {
        clearTimeout(timer)
        done()
      })
    })
  })
  return {
    pid: started.pid,
    exited,
    lastLines: () => lines.slice(),
    send(command) {
      if (commands === null || !commands.writable || commands.writableNeedDrain) return false
      commands.write(`${JSON.stringify(command)}\n`)
      return true
    },
    terminate: () => void started.kill('SIGTERM'),
    kill: () => void started.kill('SIGKILL'),
  }
}

export function exitText({ code, signal, error }: Exit): string {
  if (error !== null) return `cannot start the program: ${error}`
  if (signal !== null) return `the child was killed by ${signal}`
  return `the child exited with status ${code}`
}

/** Calls back for each line, cut at `charsMax`. */
function eachLine(input: Readable, charsMax: number, onLine: (line: string) => void): void {
  let rest = ''
  input.setEncoding('utf8')
  input.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = (parts.pop() ?? '').slice(0, charsMax)
    for (const part of parts) onLine(part.slice(0, charsMax))
  })
  input.on('end', () => {
    if (rest !== '') onLine(rest)
    rest = ''
  })
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    // Cut, or not for us: replies are samples, and a lost one is only not shown.
    return undefined
  }
}
