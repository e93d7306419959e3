/**
 * `logpipe --version`: the version, and what it runs on. Loads nothing else.
 */
import { readFileSync } from 'node:fs'
import type { CommandContext } from './context.ts'

export function version(context: CommandContext): number {
  context.print(`logpipe ${programVersion()} (Node ${process.versions.node})\n`)
  return 0
}

/** The version in package.json. */
export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const parsed: unknown = JSON.parse(text)
  const isObject = typeof parsed === 'object' && parsed !== null && 'version' in parsed
  return isObject ? String(parsed.version) : 'unknown'
}
