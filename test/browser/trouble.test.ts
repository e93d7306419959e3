/** What an operator sees while something is wrong, and where the records went. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { startProgram, temporaryFolder, until } from '../helpers/program.ts'
import { ARGUMENTS, COMMAND } from '../helpers/program-command.ts'
import { keepsRules, visit } from './chromium.ts'
import { pipelineOf, startFleet, type Fleet } from './fleet.ts'

/** Far more than it takes: the diagnostics say how long it took. */
const PATIENCE_MS = 60_000

/** The longest that the embedded broker takes, and a session of the group that outlasts it. */
const HANG_MS = 60_000
const SESSION_MS = 240_000
/** Slow is what takes longer than a second. */
const quickOf = (fleet: Fleet) => ({ ...pipelineOf(fleet), es_timeout_ms: 1000 })

async function runningFleet(t: TestContext, more: object = {}) {
  const fleet = await startFleet(t)
  await fleet.call('POST', '/api/pipelines', { ...quickOf(fleet), ...more, enabled: true })
  const worker = fleet.startWorker('worker-1', ['--metrics-listen', '127.0.0.1:0'])
  fleet.feed()
  const { page, faults } = await visit(t, `${fleet.url}/#/pipelines/1`)
  page.setDefaultTimeout(PATIENCE_MS)
  await state(page, 'running').waitFor()
  // Its child has begun, and joins its group; on a busy machine that takes a while.
  await until('the first record', async () => (await books(fleet)).fetched > 0)
  await until('the first document', async () => (await books(fleet)).indexed > 0)
  const tap = startProgram(t, temporaryFolder(t), ['tap', '--control-plane-url', fleet.url])
  return { fleet, worker, page, faults, tap }
}

const books = async (fleet: Fleet) =>
  (await fleet.call('GET', '/api/pipelines/1/books')).body.entries

const state = (page: Page, word: string) => page.locator(`.page-title [data-state="${word}"]`)

interface Outage {
  readonly name: string
  readonly words: RegExp
  /** The kind of the metric. */
  readonly kind: string
  readonly breakIt: () => void | Promise<void>
  readonly mendIt: () => void | Promise<void>
}

type Running = Awaited<ReturnType<typeof runningFleet>>

/** Breaks it, waits for the words on the page, mends it, and waits for calm. */
async function seen(t: TestContext, running: Running, outage: Outage): Promise<void> {
  const { fleet, page } = running
  await page.goto(`${fleet.url}/#/pipelines/1`)
  await state(page, 'running').waitFor()
  const brokenMs = performance.now()
  await outage.breakIt()
  await state(page, 'degraded').waitFor()
  await page.getByTestId('troubles').filter({ hasText: outage.words }).waitFor()
  const seenMs = performance.now()
  await toldElsewhere(running, outage)
  await keepsRules(page, `trouble-${outage.name}`)
  await page.goto(`${fleet.url}/#/`)
  await page.locator('.reason').filter({ hasText: outage.words }).waitFor()
  if (outage.name === 'down') await keepsRules(page, `trouble-${outage.name}-list`)
  const mendedMs = performance.now()
  await outage.mendIt()
  await page.goto(`${fleet.url}/#/pipelines/1`)
  await state(page, 'running').waitFor()
  const calmMs = performance.now()
  const { status } = (await fleet.call('GET', '/api/pipelines/1')).body
  assert.deepEqual([status.reason, status.reasons], [null, []])
  const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1)
  t.diagnostic(
    `${outage.name}: seen after ${seconds(brokenMs, seenMs)} s, ` +
      `gone after ${seconds(mendedMs, calmMs)} s`,
  )
}

/** Not in the browser: the API, both endpoints for Prometheus, `top` and `tap`. */
async function toldElsewhere({ fleet, worker, tap }: Running, outage: Outage): Promise<void> {
  const { words, kind } = outage
  // One may be told again in a moment where its cause comes and goes.
  const soon = async (where: string, told: () => Promise<boolean> | boolean) =>
    await until(`${outage.name} in ${where}`, told)
  await soon('the API', async () => {
    const { status } = (await fleet.call('GET', '/api/pipelines/1')).body
    return status.state === 'degraded' && words.test(status.reason ?? '')
  })
  const gauge = new RegExp(`^pipeline_trouble\\{[^}]*kind="${kind}"[^}]*\\} [1-9]`, 'm')
  const [, own = ''] = await worker.heard(/metrics at (http:\S+)/)
  for (const url of [own, `${fleet.url}/metrics`]) {
    await soon(url, async () => gauge.test(await (await fetch(url)).text()))
  }
  await soon('top', async () => {
    const top = ['top', '--control-plane-url', fleet.url]
    const { stdout } = await promisify(execFile)(COMMAND, [...ARGUMENTS, ...top])
    return words.test(stdout)
  })
  await soon('tap', () => words.test(tap.said()))
}

test('what is wrong with Elasticsearch stands on the page until it is mended', async (t) => {
  const running = await runningFleet(t)
  const { fake, esUrl } = running.fleet
  const { script } = fake
  const answering = (answer: ReturnType<typeof script>) => () => void (fake.script = () => answer)
  const mendIt = () => void (fake.script = script)
  const blocked = {
    status: 403,
    type: 'cluster_block_exception',
    reason: 'index [app-errors] blocked by: [FORBIDDEN/8/index write (api)];',
  }
  const full = {
    status: 429,
    type: 'cluster_block_exception',
    reason:
      'index [app-errors] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage ' +
      'watermark, index has read-only-allow-delete block];',
  }
  await seen(t, running, {
    name: 'down',
    kind: 'elasticsearch_down',
    words: /Elasticsearch is down: .*ECONNREFUSED|Elasticsearch is down: .*refused/,
    breakIt: () => fake.close(),
    mendIt: async () => void (await fake.listen(Number(new URL(esUrl).port))),
  })
  await seen(t, running, {
    name: 'read-only',
    kind: 'index_waits',
    words: /the index app-errors waits: 403 .*blocked by/,
    breakIt: answering({ kind: 'items', fault: () => blocked }),
    mendIt,
  })
  await seen(t, running, {
    name: 'full',
    kind: 'index_waits',
    words: /the index app-errors waits: 429 .*disk usage exceeded flood-stage watermark/,
    breakIt: answering({ kind: 'items', fault: () => full }),
    mendIt,
  })
  await seen(t, running, {
    name: 'busy',
    kind: 'elasticsearch_busy',
    words: /Elasticsearch is busy: 429/,
    breakIt: answering({ kind: 'status', status: 429 }),
    mendIt,
  })
  await seen(t, running, {
    name: 'slow',
    kind: 'elasticsearch_slow',
    words: /Elasticsearch is slow: no answer in/,
    breakIt: answering({ kind: 'hang', isApplied: false }),
    mendIt,
  })
  await seen(t, running, {
    name: 'refused',
    kind: 'elasticsearch_refused',
    words: /Elasticsearch rejects requests: 401/,
    breakIt: answering({ kind: 'status', status: 401 }),
    mendIt,
  })
  // The browser's own word for an answer of the control plane is none of it.
  assert.deepEqual(running.faults, [])
})

test('a partition that is not read stands on the page until it is read again', async (t) => {
  const kafka = { 'session.timeout.ms': String(SESSION_MS) }
  const running = await runningFleet(t, { kafka_config: kafka })
  const { fleet } = running
  const words = /app-logs \[[01]\] is stuck at offset \d+: /
  // Damaged answers twice in a row hold it until it is asked for again, five seconds later; the
  // partitions may be asked for one by one.
  let timer: NodeJS.Timeout | undefined
  t.after(() => clearInterval(timer))
  const damageAgain = async () => {
    const { status } = (await fleet.call('GET', '/api/pipelines/1')).body
    if (words.test(status.reason ?? '')) return
    for (let count = 0; count < 3; count++) fleet.damageNext()
  }
  await seen(t, running, {
    name: 'stuck',
    kind: 'partition_stuck',
    words,
    breakIt: async () => {
      await damageAgain()
      timer = setInterval(() => void damageAgain(), 4000)
    },
    mendIt: () => clearInterval(timer),
  })
  await seen(t, running, {
    name: 'hangs',
    kind: 'partition_unread',
    words: /app-logs \[[01]\] is not read: its broker does not answer/,
    breakIt: () => fleet.delay(HANG_MS),
    mendIt: () => fleet.delay(0),
  })
  assert.deepEqual(running.faults, [])
})

/** The totals of every child's summary, added up: what `logpipe run` prints at its end. */
function printedTotals(said: string): Readonly<Record<string, number>> {
  const totals: Record<string, number> = {}
  let columns: string[] = []
  for (const line of said.split('\n')) {
    const [, cells = ''] = /child: ((?:books|total) .*)$/.exec(line) ?? []
    const [first, ...rest] = cells.trim().split(/ {2,}/)
    if (first === 'books') columns = rest
    if (first !== 'total') continue
    for (const [index, name] of columns.entries()) {
      totals[name] = (totals[name] ?? 0) + Number((rest[index] ?? '').replaceAll(',', ''))
    }
  }
  return totals
}

test('sums on the page are the books of the workers, over revisions and a restart', async (t) => {
  const { fleet, worker, page } = await runningFleet(t)
  const shown = async (entry: string) =>
    Number((await page.getByTestId(`books-${entry}`).textContent())?.replaceAll(',', ''))
  const indexedMore = async () => {
    await page.getByTestId('books-indexed').waitFor()
    const before = await shown('indexed')
    await until('more documents', async () => (await shown('indexed')) > before)
  }
  fleet.refuseNext(9)
  await indexedMore()
  for (const pattern of ['WARN', 'INFO']) {
    const { body } = await fleet.call('GET', '/api/pipelines/1')
    await fleet.call('PUT', '/api/pipelines/1', { ...body, match_pattern: pattern })
    const [revision] = [body.revision + 1]
    await until(`revision ${revision}`, async () => {
      const { status } = (await fleet.call('GET', '/api/pipelines/1')).body
      return status.workers[0]?.revision === revision && status.state === 'running'
    })
    await indexedMore()
  }
  process.kill(worker.pid, 'SIGTERM')
  await worker.ended
  const { fetched: before } = await books(fleet)
  const second = fleet.startWorker('worker-1')
  await until('records of the second', async () => (await books(fleet)).fetched > before)
  await state(page, 'running').waitFor()
  await indexedMore()
  await page.getByTestId('figure-dead-letters').filter({ hasText: '9' }).waitFor()
  await keepsRules(page, 'books')
  await fleet.call('POST', '/api/pipelines/1/stop')
  await state(page, 'stopped').waitFor()
  // A page of a busy machine takes a silent worker for gone; its goodbye has its last books.
  process.kill(second.pid, 'SIGTERM')
  await second.ended
  const printed = printedTotals(worker.said() + second.said())
  await until('the last books', async () => (await books(fleet)).fetched === printed['fetched'])
  assert.ok((printed['fetched'] ?? 0) > 0)
  const { body } = await fleet.call('GET', '/api/pipelines/1/books')
  for (const [column, entry] of [
    ['fetched', 'fetched'],
    ['filtered(pattern)', 'filtered'],
    ['indexed', 'indexed'],
    ['duplicate', 'duplicate'],
    ['dead_lettered', 'dead_lettered'],
    ['fenced', 'fenced'],
  ] as const) {
    assert.equal(body.entries[entry], printed[column] ?? 0, entry)
  }
  assert.equal(body.entries['dead_lettered'], 9)
  assert.equal(body.sources, body.ends)
  await page.getByTestId('books-verdict').filter({ hasText: 'Nothing is missing' }).waitFor()
  await page.reload()
  await page.getByTestId('books-fetched').waitFor()
  assert.equal(await shown('fetched'), printed['fetched'])
})
