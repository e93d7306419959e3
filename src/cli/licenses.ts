/**
 * `logpipe licenses`: the licences of everything inside the executable.
 */
import { packedText } from '../core/program-files.ts'
import type { CommandContext } from './context.ts'

const IN_CHECKOUT =
  'This is a checkout: the licence of logpipe is in LICENSE, those of its packages are in\n' +
  'node_modules/*/LICENSE. The executable (npm run build) has the texts of all that is inside it.\n'

export function licenses(context: CommandContext): number {
  context.print(packedText('licenses.txt') ?? IN_CHECKOUT)
  return 0
}
