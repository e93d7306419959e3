/**
 * The option table as the control plane takes it: each row with its parser.
 */
import { expected, parseValue } from '../options/kinds.ts'
import { ROWS } from '../options/table.ts'
import type { FieldOption } from './field-value.ts'

export const OPTION_FIELDS: readonly FieldOption[] = ROWS.map((row) => ({
  row,
  parse: (text) => parseValue(row, text),
  expected: expected(row),
}))
