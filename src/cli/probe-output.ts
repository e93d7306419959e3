/**
 * Whether an output that is not Elasticsearch can be written to; nothing is written.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../core/errors.ts'
import type { OutputTarget } from '../options/notations.ts'
import type { Probe } from './check-report.ts'

export function probeOutput(output: OutputTarget): readonly Probe[] {
  if (output.kind !== 'file') return []
  const subject = `output ${output.path}`
  const folder = path.dirname(path.resolve(output.path))
  try {
    if (!existsSync(output.path)) {
      accessSync(folder, constants.W_OK)
      return [{ subject, state: 'fine', detail: 'will be made' }]
    }
    if (statSync(output.path).isDirectory()) {
      return [{ subject, state: 'wrong', detail: 'is a folder; name a file' }]
    }
    accessSync(output.path, constants.W_OK)
    return [{ subject, state: 'fine', detail: 'will be appended to' }]
  } catch (error) {
    const reason = messageOf(error).replace(/^[A-Z]+: /, '')
    return [{ subject, state: 'wrong', detail: `cannot be written: ${reason}` }]
  }
}
