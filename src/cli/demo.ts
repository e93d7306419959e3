/**
 * `logpipe demo`: the pipeline on an embedded Kafka.
 */
import { LogpipeError } from '../core/errors.ts'
import { resolve } from '../options/resolve.ts'
import { refuseOperands } from './context.ts'
import type { CommandContext } from './context.ts'

export function demo(context: CommandContext): number {
  const resolved = resolve({ command: 'demo', args: context.args, env: context.env })
  refuseOperands(resolved)
  throw new LogpipeError('NOT_BUILT', 'the demo is not part of this version yet')
}
