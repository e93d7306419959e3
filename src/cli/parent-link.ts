/**
 * The link of a `logpipe run` to the sync that started it (LOGPIPE_PARENT_STDIN=1), and which
 * pipeline it is for it (LOGPIPE_PIPELINE).
 *
 *   fd 0               commands, one JSON object a line: {"id", "kind": "tail", "seconds"}; its end
 *                      says that sync is gone: drain, as after SIGTERM
 *   LOGPIPE_REPLY_FD   replies, one JSON object a line: {"kind": "tail", "entries": [text, ...]}
 *
 * Bound. A command is a line of at most LINE_CHARS_MAX; what does not fit is no command. A reply is
 * dropped while sync has not read the one before: replies are samples.
 */
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { ControlledPipeline } from '../kafka/pipeline-identity.ts'
import { descriptorOf } from './inherited-secrets.ts'

export interface ParentEvents {
  readonly onTail: (seconds: number) => void
  /** Once: sync is gone. */
  readonly onGone: () => void
}

export interface ParentLink {
  /** Sends entries of the live tail, unless sync is behind with reading. */
  sendTail(entries: readonly string[]): void
}

/** A command has some hundred. */
const LINE_CHARS_MAX = 65_536

/** Whether this is the child of a sync, or a tool that sync runs beside it. */
export function isStartedBySync(env: Readonly<Record<string, string | undefined>>): boolean {
  return env['LOGPIPE_PARENT_STDIN'] === '1'
}

/** The pipeline of the control plane that sync runs; null: none, this was started by hand. */
export function controlledPipeline(
  env: Readonly<Record<string, string | undefined>>,
): ControlledPipeline | null {
  const [, id, name = ''] = /^(\d{1,15}) ?(.*)$/s.exec(env['LOGPIPE_PIPELINE'] ?? '') ?? []
  return id === undefined ? null : { id: Number(id), name }
}

/**
 * Begins to listen; null where nobody asked for it.
 * @throws LogpipeError USAGE for a LOGPIPE_REPLY_FD that is none.
 */
export function openParentLink(
  env: Readonly<Record<string, string | undefined>>,
  events: ParentEvents,
  input: Readable = process.stdin,
): ParentLink | null {
  if (!isStartedBySync(env)) return null
  const replies = openReplies(descriptorOf(env, 'LOGPIPE_REPLY_FD'))
  listen(input, events)
  return {
    sendTail(entries) {
      if (replies === null || !replies.writable || replies.writableNeedDrain) return
      replies.write(`${JSON.stringify({ kind: 'tail', entries })}\n`)
    },
  }
}

function openReplies(descriptor: number | undefined): Socket | null {
  if (descriptor === undefined) return null
  try {
    const replies = new Socket({ fd: descriptor, readable: false, writable: true })
    // The end of fd 0 says that sync is gone; this would only say it again.
    replies.on('error', () => undefined)
    return replies.unref()
  } catch (error) {
    const message = `LOGPIPE_REPLY_FD: expected an open pipe: ${messageOf(error)}`
    throw new LogpipeError('USAGE', message, { cause: error })
  }
}

function listen(input: Readable, { onTail, onGone }: ParentEvents): void {
  let rest = ''
  let isGone = false
  const gone = (): void => {
    if (!isGone) onGone()
    isGone = true
  }
  input.setEncoding('utf8')
  input.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = (lines.pop() ?? '').slice(0, LINE_CHARS_MAX)
    for (const line of lines) {
      const seconds = tailSecondsOf(line)
      if (seconds !== undefined) onTail(seconds)
    }
  })
  for (const event of ['end', 'error', 'close']) input.once(event, gone)
}

/** Undefined for a command that this version does not know: a newer sync may send one. */
function tailSecondsOf(line: string): number | undefined {
  let command: unknown
  try {
    command = JSON.parse(line)
  } catch {
    // Cut: no command.
    return undefined
  }
  if (typeof command !== 'object' || command === null) return undefined
  const { kind, seconds } = command as { readonly kind?: unknown; readonly seconds?: unknown }
  return kind === 'tail' && typeof seconds === 'number' ? seconds : undefined
}
