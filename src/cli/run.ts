/**
 * `logpipe run`: resolves the options, refuses what cannot fit, starts the pipeline.
 */
import { LogpipeError } from '../core/errors.ts'
import { checkMemory } from '../options/memory.ts'
import { resolve } from '../options/resolve.ts'
import { refuseOperands } from './context.ts'
import type { CommandContext } from './context.ts'
import { memoryLimit, planMemory } from './memory-plan.ts'

export function run(context: CommandContext): number {
  const resolved = resolve({ command: 'run', args: context.args, env: context.env })
  refuseOperands(resolved)
  checkMemory(planMemory(resolved.config, null), memoryLimit())
  // The one place where the pipeline is called; what it says first is in start-notices.ts.
  throw new LogpipeError('NOT_BUILT', 'the pipeline is not part of this version yet')
}
