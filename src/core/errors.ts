/**
 * Every error that a user can meet: one row each, with its exit status (1 failed, 2 usage, 3 data
 * lost or books out of balance) and when it occurs.
 *
 * Owns the codes; every stage throws LogpipeError with one of them. Match on `code`, never on text.
 * A message says what was expected, what came, and what to do. Programmer errors are assertions
 * (node:assert) and are never caught.
 */

import { formatBytes } from './units.ts'

/** Each code, with the exit status of a process that ends by it. */
export const ERRORS = {
  /** The command line, environment or config file is wrong. */
  USAGE: 2,
  /** The config file cannot be read or parsed. */
  CONFIG_FILE: 2,
  /** The add-on is missing, damaged or of another version. */
  BRIDGE_LOAD: 1,
  /** The executable finds no folder that its add-ons can be loaded from. */
  CACHE: 1,
  /** librdkafka refused a call. */
  BRIDGE_CALL: 1,
  /** librdkafka refused a property. */
  KAFKA_CONFIG: 2,
  /** No broker answered in time. */
  KAFKA_UNREACHABLE: 1,
  /** A broker refused the credentials or the access. */
  KAFKA_AUTH: 1,
  /** The topic does not exist or may not be read. */
  KAFKA_TOPIC: 1,
  /** librdkafka reported an error from which its client cannot recover. */
  KAFKA_FATAL: 1,
  /** Another pipeline reads with the same consumer group. */
  GROUP_SHARED: 1,
  /** A reader of a benchmark failed. */
  BENCH_READER: 1,
  /** A benchmark was stopped before it had a result. */
  STOPPED: 1,
  /** A benchmark was given no record to read. */
  NO_RECORDS: 1,
  /** The output cannot be opened for writing. */
  OUTPUT_OPEN: 1,
  /** The output refused a write, for example on a full disk. */
  OUTPUT_WRITE: 1,
  /** The reader of the output went away (a closed pipe). */
  OUTPUT_CLOSED: 1,
  /** No Elasticsearch node answered. */
  ES_UNREACHABLE: 1,
  /** Elasticsearch refused documents or the whole request. */
  ES_REFUSED: 1,
  /** Topics give index names that are not valid, or one name for two of them. */
  INDEX_NAME: 2,
  /** Another process holds the lock on a directory or file. */
  LOCKED: 1,
  /** LOCK_FILE is held: another run is under way. sysexits' EX_TEMPFAIL, for cron to tell it. */
  LOCK_HELD: 75,
  /** The spill directory cannot be used. */
  SPILL: 1,
  /** Dead letters cannot be stored, or their files cannot be used. */
  DEAD_LETTERS: 1,
  /** The memory sum exceeds what this machine or container has. */
  MEMORY: 2,
  /** logpipe cannot listen on an address. */
  LISTEN: 1,
  /** The database cannot be used. */
  STORE: 1,
  /** The worker's folder cannot be used. */
  SYNC: 1,
  /** The control plane cannot be reached, or its answer is refused. */
  CONTROL: 1,
  /** A thread of the pipeline died. */
  THREAD: 1,
  /** Shutting down took longer than its deadline. */
  DEADLINE: 1,
  /** The books do not balance, or data was lost. */
  BOOKS: 3,
} as const satisfies Record<string, 1 | 2 | 3 | 75>

export type ErrorCode = keyof typeof ERRORS

/** An operating error, which a user can cause, meet and fix. */
export class LogpipeError extends Error {
  readonly code: ErrorCode
  /** Several faults that were found at once, one a line; the message has them in one. */
  readonly lines: readonly string[]
  /** Lines for a terminal, below the message: where in a text the fault is. Empty: none. */
  readonly below: string

  /** @param message one line, or one for each fault */
  constructor(
    code: ErrorCode,
    message: string | readonly string[],
    options?: { readonly cause?: unknown; readonly below?: string },
  ) {
    const lines = typeof message === 'string' ? [message] : message
    super(lines.join('; '), options)
    this.name = 'LogpipeError'
    this.code = code
    this.lines = lines
    this.below = options?.below ?? ''
  }

  get exitStatus(): 1 | 2 | 3 | 75 {
    return ERRORS[this.code]
  }
}

/** Why logpipe cannot listen on an address, and what to do. @param name of the option. */
export function listenError(name: string, address: string, cause: unknown): LogpipeError {
  const code = Object(cause) as { readonly code?: unknown }
  const why =
    code.code === 'EADDRINUSE'
      ? `another process listens there; stop it, or set another address with ${name}`
      : `${messageOf(cause)}; set another address with ${name}`
  return new LogpipeError('LISTEN', `cannot listen on ${address}: ${why}`, { cause })
}

/** The message of anything that was thrown; total, so that reporting an error cannot fail. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message
  return String(thrown)
}

const FULL: Readonly<Record<string, string>> = {
  ENOSPC: 'is full',
  EDQUOT: 'has no room left for this user (quota)',
}

/**
 * What a failed write means, in words: Node's error of an open file names neither the file nor the
 * size. @param byteCount that was to be written; 0: not known.
 */
export function diskFault(thrown: unknown, file: string, byteCount = 0): string {
  const { code } = Object(thrown) as { readonly code?: unknown }
  const name = typeof code === 'string' ? code : ''
  const full = FULL[name]
  if (full === undefined) return messageOf(thrown)
  const size = byteCount === 0 ? '' : `, ${formatBytes(byteCount)} could not be written`
  return `${name}: the disk of ${file} ${full}${size}; free some space, or use another disk`
}

const CONNECT_FAULTS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused: nothing listens there'],
  ['ENOTFOUND', 'unknown host name'],
  ['EAI_AGAIN', 'the DNS server does not answer'],
  ['EHOSTUNREACH', 'no route to host'],
  ['ENETUNREACH', 'no route to host'],
  ['ETIMEDOUT', 'no answer'],
  ['ECONNRESET', 'the other side closed the connection'],
  ['UND_ERR_SOCKET', 'the other side closed the connection'],
])

/** Why fetch failed, in words: it says "fetch failed", and why in the cause. */
export function fetchFault(thrown: unknown): string {
  return connectFault(thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown)
}

/** What a failed connection means, in words. */
export function connectFault(thrown: unknown): string {
  const { code } = Object(thrown) as { readonly code?: unknown }
  const name = typeof code === 'string' ? code : ''
  // A host with several addresses gives an error of many errors, without a message of its own.
  return CONNECT_FAULTS.get(name) ?? (messageOf(thrown) || name)
}
