/** The life of a pipeline by mouse and keyboard, with a real worker. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { IS_PACKED } from '../helpers/program-command.ts'
import { until } from '../helpers/program.ts'
import { picture, visit } from './chromium.ts'
import { startFleet, type Fleet } from './fleet.ts'

const LETTERS = 3

/** From the empty page to a pipeline that waits: six fields at most, and a button. */
async function createAndStart(page: Page, fleet: Fleet): Promise<void> {
  await page.getByRole('link', { name: 'New pipeline' }).click()
  await page.getByLabel('Topic').fill(fleet.topic)
  await page.getByLabel('Kafka brokers').fill(fleet.brokers)
  await page.getByLabel('Elasticsearch es_url').fill(fleet.esUrl)
  await page.getByLabel(/^Index es_index/).fill('app-errors')
  assert.equal(
    await page.getByLabel('Name', { exact: true }).inputValue(),
    'app-logs-to-app-errors',
  )
  await page.getByRole('button', { name: 'Create and start' }).click()
  await page.getByRole('heading', { name: 'app-logs-to-app-errors' }).waitFor()
}

const state = (page: Page, word: string) => page.locator(`.page-title [data-state="${word}"]`)

test('a pipeline is made, started, watched and stopped', async (t) => {
  const fleet = await startFleet(t)
  const { page, faults } = await visit(t, fleet.url)
  await page.getByRole('heading', { name: 'Start your first pipeline' }).waitFor()
  await createAndStart(page, fleet)
  await state(page, 'pending').waitFor()
  const command = await page.getByTestId('start-worker').locator('code').textContent()
  const program = IS_PACKED ? 'logpipe' : 'bin/logpipe'
  assert.equal(command, `${program} sync --worker-id worker-1 --control-plane-url ${fleet.url}`)
  const { body } = await fleet.call('GET', '/api/pipelines/1')
  assert.equal(body.kafka_group_id, 'logpipe-app-logs-to-app-errors', 'a group of its own')

  fleet.refuseNext(LETTERS)
  fleet.startWorker('worker-1')
  fleet.feed()
  await state(page, 'running').waitFor()
  await page.getByTestId('announcer').filter({ hasText: 'is running' }).waitFor()
  const polled = page.getByTestId('figure-polled')
  await polled.filter({ hasNotText: /^0\/s$/ }).waitFor()
  const indexed = page.getByTestId('books-indexed')
  const before = await indexed.textContent()
  await until('more matches', async () => (await indexed.textContent()) !== before)
  assert.ok((await page.locator('.chart canvas').count()) === 6)

  await page.getByRole('link', { name: 'Live tail' }).click()
  const mark = page.getByTestId('tail').locator('mark').first()
  assert.equal(await mark.textContent(), 'ERROR')

  await sendLettersAgain(page, fleet)
  await page.getByRole('button', { name: /^Stop / }).click()
  await state(page, 'stopped').waitFor()
  await remove(page)
  assert.equal((await fleet.call('GET', '/api/pipelines')).body.total, 0)
  assert.deepEqual(faults, [])
})

async function sendLettersAgain(page: Page, fleet: Fleet): Promise<void> {
  await page.getByRole('link', { name: 'Dead letters' }).click()
  const rows = page.getByTestId('letters').locator('tbody tr')
  await rows.first().waitFor()
  assert.equal(await rows.count(), LETTERS)
  const written = fleet.fake.documents.size
  await rows.first().getByRole('checkbox').check()
  await page.getByRole('button', { name: 'Replay 1 selected' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Replay' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await until('one dead letter less', async () => (await rows.count()) === LETTERS - 1)
  assert.ok(fleet.fake.documents.size > written)
}

async function remove(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByRole('button', { name: 'Delete this pipeline' }).click()
  await picture(page, 'dialog')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Delete this pipeline' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('heading', { name: 'Start your first pipeline' }).waitFor()
}
