/**
 * The option table as the control plane takes it: each row with its parser, and the rules that
 * hold between options.
 */
import assert from 'node:assert/strict'
import { LogpipeError } from '../core/errors.ts'
import { expected, parseValue } from '../options/kinds.ts'
import { decidedBySync } from '../options/remote-options.ts'
import { resolve } from '../options/resolve.ts'
import { ROWS } from '../options/table.ts'
import type { FieldOption } from './field-value.ts'

export const OPTION_FIELDS: readonly FieldOption[] = ROWS.map((row) => ({
  row,
  parse: (text) => parseValue(row, text),
  expected: expected(row),
}))

/**
 * What is wrong with a pipeline's variables together (a pool smaller than its threads, say), or
 * undefined. Each by itself was checked before.
 */
export function faultTogether(variables: Readonly<Record<string, string>>): string | undefined {
  try {
    resolve({
      command: 'run',
      args: [],
      env: { ...variables, ...decidedBySync(variables['PRODUCT_LINE']) },
      // No variable of a pipeline names a file.
      readText: () => assert.fail('a pipeline reads no file'),
    })
    return undefined
  } catch (error) {
    // Whether a feature is built is the worker's to say: it may be of another version.
    if (error instanceof LogpipeError && error.code !== 'NOT_BUILT') return error.message
    if (error instanceof LogpipeError) return undefined
    throw error
  }
}
