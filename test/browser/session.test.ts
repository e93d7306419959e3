/**
 * Goal: a user with a mouse alone gets from nothing to documents in Elasticsearch, and can watch,
 * stop and place the pipeline: the README's session, without curl. Names are typed, all else is
 * clicked. Method: a real Kafka and Elasticsearch, a control plane and two workers; what the page
 * says is checked against what Elasticsearch says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { startControlProgram, startProgram, temporaryFolder, until } from '../helpers/program.ts'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'
import { picture, visit } from './chromium.ts'

const skip = serversMissing() ?? false
/** Lines of one round, and how many of them say ERROR. */
const LINES = 200
const MATCHES = 40

interface Names {
  readonly topic: string
  readonly index: string
  readonly ingest: string
}

const lineOf = (index: number) => {
  const level = index % (LINES / MATCHES) === 0 ? 'ERROR' : 'INFO'
  return JSON.stringify({ level, index })
}

async function createAndStart(page: Page, names: Names, brokers: string, es: string) {
  await page.getByRole('link', { name: 'New pipeline' }).click()
  await page.getByLabel('Topic').fill(names.topic)
  await page.getByLabel('Kafka brokers').fill(brokers)
  await page.getByLabel('Elasticsearch es_url').fill(es)
  await page.getByLabel(/^Index es_index/).fill(names.index)
  await page.locator('.group > summary', { hasText: 'Elasticsearch' }).click()
  await page.getByLabel('Ingest pipeline').fill(names.ingest)
  await page.getByRole('button', { name: 'Create and start' }).click()
  await page.getByRole('heading', { name: `${names.topic}-to-${names.index}` }).waitFor()
}

async function assignByHand(page: Page, worker: string, pipeline: string): Promise<void> {
  await page.getByRole('link', { name: 'Workers' }).click()
  const row = page.getByTestId(`worker-${worker}`)
  await row.getByRole('button', { name: `Assign ${worker}` }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Pipeline', { exact: true }).selectOption(pipeline)
  await dialog.getByRole('button', { name: 'Assign' }).click()
  await row.getByText('manual').waitFor()
  await row.getByRole('link', { name: pipeline }).waitFor()
}

test('the dashboard leads from nothing to documents by mouse alone', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const es = await sharedElasticsearch(t)
  const names = {
    topic: uniqueName('mouse'),
    index: uniqueName('mouse-logs'),
    ingest: uniqueName('mouse-parse'),
  }
  const onEs = async (method: string, path: string, body?: unknown) => {
    const headers = { 'content-type': 'application/json' }
    const sent = body === undefined ? {} : { body: JSON.stringify(body), headers }
    const answer = await fetch(es + path, { method, ...sent })
    return JSON.parse(await answer.text())
  }
  const processors = [{ set: { field: 'parsed', value: true } }]
  await onEs('PUT', `/_ingest/pipeline/${names.ingest}`, { processors })
  await kafka.createTopic(names.topic, 2)
  let produced = 0
  const produce = async () => {
    const lines = Array.from({ length: LINES }, (_, index) => lineOf(produced + index))
    produced += LINES
    await kafka.produce(names.topic, lines)
  }
  const indexed = async () => {
    await onEs('POST', `/${names.index}/_refresh`)
    return Number((await onEs('GET', `/${names.index}/_count`)).count ?? 0)
  }
  const documents = async (count: number) =>
    await until(`${count} documents`, async () => (await indexed()) >= count)
  const matches = () => (produced / LINES) * MATCHES

  await produce()
  const folder = temporaryFolder(t)
  const { control, url } = await startControlProgram(t, folder)
  const syncs = ['worker-1', 'worker-2'].map((id) =>
    startProgram(t, folder, ['sync'], { CONTROL_PLANE_URL: url, WORKER_ID: id }),
  )
  const { page, faults } = await visit(t, url)
  const state = (word: string) => page.locator(`.page-title [data-state="${word}"]`)
  const pipeline = `${names.topic}-to-${names.index}`
  await createAndStart(page, names, kafka.bootstrapServers, es)
  await state('running').waitFor()
  await documents(MATCHES)
  const found = await onEs('GET', `/${names.index}/_search?size=1`)
  const { level, parsed } = found.hits.hits[0]._source
  assert.deepEqual({ level, parsed }, { level: 'ERROR', parsed: true }, 'by the ingest pipeline')

  await page.getByRole('link', { name: 'Live tail' }).click()
  const mark = page.getByTestId('tail').locator('mark').first()
  await until('a match in the live tail', async () => {
    // What was written before the order to show matches reached the worker is not shown.
    await produce()
    return (await mark.count()) > 0
  })
  assert.equal(await mark.textContent(), 'ERROR')
  await documents(matches())

  await page.getByRole('link', { name: 'Overview' }).click()
  await page
    .locator('.facts')
    .getByText(`${matches().toLocaleString('en-US')} documents`)
    .waitFor()
  await picture(page, 'session')
  await page.getByRole('button', { name: /^Stop / }).click()
  await state('stopped').waitFor()

  await assignByHand(page, 'worker-2', pipeline)
  await produce()
  await documents(matches())
  await page.getByTestId('worker-worker-2').getByRole('link', { name: pipeline }).click()
  await state('running').waitFor()
  assert.equal(await indexed(), matches(), 'and each once')
  assert.deepEqual(faults, [])

  for (const program of [...syncs, control]) {
    program.signal('SIGTERM')
    assert.equal(await program.ended, 0, program.said())
  }
})
