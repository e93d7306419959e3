/**
 * The folders that the executable may put its add-ons in, by the environment: the user's cache
 * first, and where that is read-only or there is no home, the folder for temporary files.
 */
import path from 'node:path'
import type { Host } from './context.ts'

/** @returns full paths, the best first */
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
