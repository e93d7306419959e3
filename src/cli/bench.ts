/**
 * `logpipe bench consume` and `logpipe bench produce`.
 */
import { LogpipeError } from '../core/errors.ts'
import { checkMemory } from '../options/memory.ts'
import { resolve } from '../options/resolve.ts'
import { refuseOperands } from './context.ts'
import type { CommandContext } from './context.ts'
import { memoryLimit, planMemory } from './memory-plan.ts'

export function consume(context: CommandContext): number {
  const resolved = resolve({ command: 'bench consume', args: context.args, env: context.env })
  refuseOperands(resolved)
  checkMemory(planMemory(resolved.config, null), memoryLimit())
  throw new LogpipeError('NOT_BUILT', 'bench consume is not part of this version yet')
}

export function produce(context: CommandContext): number {
  const resolved = resolve({ command: 'bench produce', args: context.args, env: context.env })
  refuseOperands(resolved)
  throw new LogpipeError('NOT_BUILT', 'bench produce is not part of this version yet')
}
