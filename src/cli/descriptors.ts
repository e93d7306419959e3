/**
 * Descriptors that whoever started this process has opened for it, named by variables.
 */
import { LogpipeError } from '../core/errors.ts'

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
