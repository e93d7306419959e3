/**
 * The Elasticsearch output against its elder and its sibling: the very tests of
 * elasticsearch-sink.test.ts, with an OpenSearch 3 and an Elasticsearch 8.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { test } from 'node:test'
import {
  ELASTICSEARCH_8,
  elasticsearch8Missing,
  startElasticsearch,
  startOpenSearch,
  type SearchServer,
} from '../servers/search.ts'
import { serversMissing } from '../servers/stack.ts'

const FILE = path.resolve(import.meta.dirname, 'elasticsearch-sink.test.ts')
/** As many tests as the file has, or it was not the file that ran. */
const TESTS_MIN = 9

async function runAgainst(url: string): Promise<void> {
  // A process of its own: a runner within a runner runs nothing.
  const env: NodeJS.ProcessEnv = { ...process.env, LOGPIPE_TEST_ES: url }
  delete env['NODE_TEST_CONTEXT']
  const args = ['--disable-warning=ExperimentalWarning', '--test', '--test-reporter=tap', FILE]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let report = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (report += text))
  const [status] = (await once(child, 'close')) as [number | null]
  const numberOf = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(report)?.[1])
  assert.equal(status, 0, report)
  assert.equal(numberOf('skipped'), 0, report)
  assert(numberOf('pass') >= TESTS_MIN, report)
}

const PRODUCTS: readonly (readonly [
  name: string,
  missing: string | null,
  start: () => Promise<SearchServer>,
])[] = [
  ['OpenSearch 3', serversMissing(['opensearch']), () => startOpenSearch()],
  [
    'Elasticsearch 8',
    elasticsearch8Missing(),
    () => startElasticsearch({ version: ELASTICSEARCH_8 }),
  ],
]

for (const [name, missing, start] of PRODUCTS) {
  test(`the output works with ${name}`, { skip: missing ?? false }, async (t) => {
    const server = await start()
    t.after(() => server.stop())
    await runAgainst(server.url)
  })
}
