/**
 * Which test files there are, by suite. The folder decides:
 *   test/integration/  the embedded broker and the built add-on, no server
 *   test/e2e/          real Kafka and Elasticsearch (test/stack)
 *   test/chaos/        faults, in their short form
 *   test/binary/       the executable, when it is built (dist/logpipe, or LOGPIPE_BIN)
 *   test/browser/      the dashboard in Chromium
 *   anything else      unit
 */
import { globSync } from 'node:fs'
import path from 'node:path'

export const SUITES = ['integration', 'e2e', 'chaos', 'binary', 'browser'] as const
export type Suite = (typeof SUITES)[number]

/**
 * Environment of what runs tests. Each test file is a process and loads much the same modules: with
 * Node's compile cache, by their content, 0.2 s of CPU time instead of 0.6 s for the larger ones.
 */
export const COMPILE_CACHE = { NODE_COMPILE_CACHE: path.resolve('build/compile-cache') }

export function testsOf(suite: Suite): string[] {
  return globSync(`test/${suite}/**/*.test.ts`).sort()
}

export function unitTests(): string[] {
  const elsewhere = new RegExp(`^test/(${SUITES.join('|')}|stack)/`)
  return globSync('test/**/*.test.ts', { exclude: (name) => name.startsWith('test/stack') })
    .filter((file) => !elsewhere.test(file))
    .sort()
}
