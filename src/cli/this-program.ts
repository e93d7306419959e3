/**
 * This very program: its version, how to start it once more, and where it may put its add-ons.
 *
 * `logpipe --version` comes here, so nothing heavy is loaded: what the executable says of its
 * libraries was written into it when it was built.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isPacked, buildFacts } from '../core/program-files.ts'
import type { Host, CommandContext } from './context.ts'

/**
 * The command line up to where the arguments of logpipe begin. From a checkout that is Node, its
 * own arguments and main.ts; the executable holds all of it and has no script to be told.
 */
export function thisProgram(): readonly string[] {
  const [, script] = process.argv
  if (isPacked() || script === undefined) return [process.execPath]
  return [process.execPath, ...process.execArgv, script]
}

/** What a person types to call it. */
export function programName(): string {
  return thisProgram().length === 1 ? 'logpipe' : 'bin/logpipe'
}

/**
 * The folders that the executable may put its add-ons in, by the environment: the user's cache
 * first, and where that is read-only or there is no home, the folder for temporary files.
 * @returns full paths, the best first
 */
export function cacheFolders(env: Host['env']): readonly string[] {
  const { XDG_CACHE_HOME: cache = '', HOME: home = '', TMPDIR: temporary = '' } = env
  const user = process.getuid?.() ?? 0
  return [
    // The XDG specification: what is no full path is to be ignored.
    ...(path.isAbsolute(cache) ? [path.join(cache, 'logpipe')] : []),
    ...(path.isAbsolute(home) ? [path.join(home, '.cache/logpipe')] : []),
    path.join(path.isAbsolute(temporary) ? temporary : '/tmp', `logpipe-${user}`),
  ]
}

/** `logpipe --version`: the version, and what it is made of. */
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
