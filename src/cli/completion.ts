/**
 * `logpipe completion bash|zsh|fish`: prints what the shell loads.
 */
import { LogpipeError } from '../core/errors.ts'
import { renderBash } from '../options/render-bash.ts'
import { renderFish } from '../options/render-fish.ts'
import { renderZsh } from '../options/render-zsh.ts'
import type { CommandContext } from './context.ts'

const SHELLS: Readonly<Record<string, () => string>> = {
  bash: renderBash,
  zsh: renderZsh,
  fish: renderFish,
}

export function completion(context: CommandContext): number {
  const [shell = '', ...more] = context.args
  const render = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
  if (render === undefined || more.length > 0) {
    const got = context.args.length === 0 ? 'nothing' : `"${context.args.join(' ')}"`
    throw new LogpipeError('USAGE', `logpipe completion: expected bash, zsh or fish, got ${got}`)
  }
  context.print(render())
  return 0
}
