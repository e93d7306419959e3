/**
 * `logpipe --version`: the version, and what it is made of. Loads nothing: what the executable says
 * of its libraries was written into it when it was built.
 */
import { readFileSync } from 'node:fs'
import { buildFacts } from '../core/program-files.ts'
import type { CommandContext } from './context.ts'

export function version(context: CommandContext): number {
  const facts = buildFacts()
  const node = `Node ${process.versions.node}`
  if (facts === null) {
    context.print(`logpipe ${programVersion()} (checkout)\n${node}\n`)
  } else {
    const { commit, librdkafka, sqlite } = facts
    context.print(`logpipe ${facts.version} (commit ${commit})\n`)
    context.print(`${node}, librdkafka ${librdkafka}, SQLite ${sqlite}\n`)
  }
  return 0
}

/** The version in package.json. */
export function programVersion(): string {
  const facts = buildFacts()
  if (facts !== null) return facts.version
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const parsed: unknown = JSON.parse(text)
  const isObject = typeof parsed === 'object' && parsed !== null && 'version' in parsed
  return isObject ? String(parsed.version) : 'unknown'
}
