/**
 * Descriptors that whoever started this process has opened for it, named by variables.
 *
 * LOGPIPE_SECRETS_FD: secrets from whoever started this process, by a pipe. One JSON object of
 * names of variables and their values, then the end.
 *
 * Other processes of the user can read the environment and the arguments; a pipe they cannot. The
 * values count as variables; a variable that is set overrides them.
 */
import { closeSync, readSync } from 'node:fs'
import { LogpipeError, messageOf } from '../core/errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Far more than all secrets of a pipeline together. */
const BYTES_MAX = 1024 * 1024

/** The environment with the inherited secrets below it. @throws LogpipeError USAGE */
export function withInheritedSecrets(env: Environment): Environment {
  const descriptor = descriptorOf(env, 'LOGPIPE_SECRETS_FD')
  if (descriptor === undefined) return env
  const secrets = secretsOf(readAll(descriptor))
  // An empty variable counts as not set.
  const own = Object.entries(env).filter(([, value]) => value !== undefined && value !== '')
  return { ...secrets, ...Object.fromEntries(own) }
}

function readAll(descriptor: number): string {
  const bytes = Buffer.alloc(BYTES_MAX)
  let size = 0
  try {
    for (let read = -1; read !== 0 && size < BYTES_MAX; size += read) {
      read = readSync(descriptor, bytes, size, BYTES_MAX - size, null)
    }
    closeSync(descriptor)
  } catch (error) {
    throw refusal(`cannot be read: ${messageOf(error)}`, error)
  }
  return bytes.toString('utf8', 0, size)
}

/** The message never repeats what was read. */
function secretsOf(text: string): Readonly<Record<string, string>> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw refusal('expected one JSON object of at most 1 MiB')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw refusal('expected one JSON object')
  }
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value !== 'string') throw refusal(`expected the value of ${name} to be a string`)
  }
  return parsed as Readonly<Record<string, string>>
}

function refusal(why: string, cause?: unknown): LogpipeError {
  return new LogpipeError('USAGE', `LOGPIPE_SECRETS_FD: ${why}`, { cause })
}

/** The three standard streams have uses of their own. */
const FIRST = 3
/** No system allows more. */
const LAST = 1_048_576

/** Undefined when the variable is not set. @throws LogpipeError USAGE */
export function descriptorOf(
  env: Readonly<Record<string, string | undefined>>,
  variable: string,
): number | undefined {
  const text = env[variable] ?? ''
  if (text === '') return undefined
  const descriptor = /^\d{1,7}$/.test(text) ? Number(text) : -1
  if (descriptor >= FIRST && descriptor <= LAST) return descriptor
  const message = `${variable}: expected the number of a descriptor from ${FIRST}, got "${text}"`
  throw new LogpipeError('USAGE', message)
}
