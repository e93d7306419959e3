/**
 * Every error that a user can meet: one row each, with its exit status and what it means.
 *
 * Owns the codes; every stage throws LogpipeError with one of them. Match on `code`, never on text.
 * A message says what was expected, what came, and what to do. Programmer errors are assertions
 * (node:assert) and are never caught.
 */

import { formatBytes } from './units.ts'

export interface ErrorRow {
  /** The process's exit status: 1 failed, 2 usage, 3 data lost or books out of balance. */
  readonly exitStatus: 1 | 2 | 3
  /** Whether the same call may succeed later without a change by the user. */
  readonly retryable: boolean
  /** When it occurs, for the reader of the table. */
  readonly meaning: string
}

export const ERRORS = {
  USAGE: {
    exitStatus: 2,
    retryable: false,
    meaning: 'The command line, environment or config file is wrong.',
  },
  CONFIG_FILE: {
    exitStatus: 2,
    retryable: false,
    meaning: 'The config file cannot be read or parsed.',
  },
  NOT_BUILT: {
    exitStatus: 2,
    retryable: false,
    meaning: 'The option exists but its feature is not part of this version.',
  },
  BRIDGE_LOAD: {
    exitStatus: 1,
    retryable: false,
    meaning: 'The add-on is missing, damaged or of another version.',
  },
  CACHE: {
    exitStatus: 1,
    retryable: false,
    meaning: 'The executable finds no folder that its add-ons can be loaded from.',
  },
  BRIDGE_CALL: { exitStatus: 1, retryable: false, meaning: 'librdkafka refused a call.' },
  KAFKA_CONFIG: { exitStatus: 2, retryable: false, meaning: 'librdkafka refused a property.' },
  KAFKA_UNREACHABLE: { exitStatus: 1, retryable: true, meaning: 'No broker answered in time.' },
  KAFKA_AUTH: {
    exitStatus: 1,
    retryable: false,
    meaning: 'A broker refused the credentials or the access.',
  },
  KAFKA_TOPIC: {
    exitStatus: 1,
    retryable: false,
    meaning: 'The topic does not exist or may not be read.',
  },
  KAFKA_FATAL: {
    exitStatus: 1,
    retryable: false,
    meaning: 'librdkafka reported an error from which its client cannot recover.',
  },
  GROUP_SHARED: {
    exitStatus: 1,
    retryable: true,
    meaning: 'Another pipeline reads with the same consumer group.',
  },
  BENCH_READER: { exitStatus: 1, retryable: true, meaning: 'A reader of a benchmark failed.' },
  STOPPED: {
    exitStatus: 1,
    retryable: true,
    meaning: 'A benchmark was stopped before it had a result.',
  },
  NO_RECORDS: {
    exitStatus: 1,
    retryable: true,
    meaning: 'A benchmark was given no record to read.',
  },
  OUTPUT_OPEN: {
    exitStatus: 1,
    retryable: false,
    meaning: 'The output cannot be opened for writing.',
  },
  OUTPUT_WRITE: {
    exitStatus: 1,
    retryable: true,
    meaning: 'The output refused a write, for example on a full disk.',
  },
  OUTPUT_CLOSED: {
    exitStatus: 1,
    retryable: false,
    meaning: 'The reader of the output went away (a closed pipe).',
  },
  ES_UNREACHABLE: { exitStatus: 1, retryable: true, meaning: 'No Elasticsearch node answered.' },
  ES_REFUSED: {
    exitStatus: 1,
    retryable: false,
    meaning: 'Elasticsearch refused documents or the whole request.',
  },
  INDEX_NAME: {
    exitStatus: 2,
    retryable: false,
    meaning: 'Topics give index names that are not valid, or one name for two of them.',
  },
  LOCKED: {
    exitStatus: 1,
    retryable: true,
    meaning: 'Another process holds the lock on a directory or file.',
  },
  SPILL: { exitStatus: 1, retryable: false, meaning: 'The spill directory cannot be used.' },
  DEAD_LETTERS: {
    exitStatus: 1,
    retryable: true,
    meaning: 'Dead letters cannot be stored, or their files cannot be used.',
  },
  MEMORY: {
    exitStatus: 2,
    retryable: false,
    meaning: 'The memory sum exceeds what this machine or container has.',
  },
  LISTEN: { exitStatus: 1, retryable: false, meaning: 'An address cannot be listened on.' },
  STORE: { exitStatus: 1, retryable: false, meaning: 'The database cannot be used.' },
  SYNC: {
    exitStatus: 1,
    retryable: false,
    meaning: "The worker's folder cannot be used.",
  },
  CONTROL: {
    exitStatus: 1,
    retryable: true,
    meaning: 'The control plane cannot be reached, or its answer is refused.',
  },
  THREAD: { exitStatus: 1, retryable: false, meaning: 'A thread of the pipeline died.' },
  DEADLINE: {
    exitStatus: 1,
    retryable: true,
    meaning: 'Shutting down took longer than its deadline.',
  },
  BOOKS: {
    exitStatus: 3,
    retryable: false,
    meaning: 'The books do not balance, or data was lost.',
  },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/** An operating error: what a user can cause, meet and mend. */
export class LogpipeError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'LogpipeError'
    this.code = code
  }

  get exitStatus(): 1 | 2 | 3 {
    return ERRORS[this.code].exitStatus
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable
  }
}

/** Why an address cannot be listened on, and what to do. @param name of the option. */
export function listenError(name: string, address: string, cause: unknown): LogpipeError {
  const code = Object(cause) as { readonly code?: unknown }
  const why =
    code.code === 'EADDRINUSE'
      ? `another process listens there; end it, or name another address with ${name}`
      : `${messageOf(cause)}; name another address with ${name}`
  return new LogpipeError('LISTEN', `${address} cannot be listened on: ${why}`, { cause })
}

/** The message of anything that was thrown; total, so that reporting an error cannot fail. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message
  return String(thrown)
}

const FULL: Readonly<Record<string, string>> = {
  ENOSPC: 'is full',
  EDQUOT: 'has no more room for this user (quota)',
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
  return `${name}: the disk of ${file} ${full}${size}; make room on it, or use another disk`
}

const CONNECT_FAULTS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused: nothing listens there'],
  ['ENOTFOUND', 'this host name is not known'],
  ['EAI_AGAIN', 'the name server does not answer'],
  ['EHOSTUNREACH', 'there is no way to this host'],
  ['ENETUNREACH', 'there is no way to this host'],
])

/** What a failed connection means, in words. */
export function connectFault(thrown: unknown): string {
  const { code } = Object(thrown) as { readonly code?: unknown }
  const name = typeof code === 'string' ? code : ''
  // A host with several addresses gives an error of many errors, without a message of its own.
  return CONNECT_FAULTS.get(name) ?? (messageOf(thrown) || name)
}
