/**
 * Every page, light, dark and at phone width.
 *
 * A picture of each is kept in test/output. Nothing may be on the console, nothing may break the
 * content security policy, nothing may be asked of another place; every control has a name, every
 * text a contrast, and no page is wider than the screen.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { startControlProgram, temporaryFolder } from '../helpers/program.ts'
import { keepsRules, visit } from './chromium.ts'
import { fillFleet, startFleet } from './fleet.ts'

type PageCase = readonly [name: string, hash: string, ready: (page: Page) => Locator]

const PAGES: readonly PageCase[] = [
  ['pipelines', '', (page) => page.getByTestId('polled').filter({ hasText: 'k/s' })],
  ['pipeline', '#/pipelines/1', (page) => page.getByText('3 nodes')],
  ['tail', '#/pipelines/1/tail', (page) => page.getByTestId('tail').locator('li').nth(5)],
  ['letters', '#/pipelines/1/letters', (page) => page.getByTestId('letters')],
  ['settings', '#/pipelines/1/settings', (page) => page.getByLabel('Topic')],
  ['revisions', '#/pipelines/1/revisions', (page) => page.getByText('active', { exact: true })],
  ['new', '#/new', (page) => page.getByLabel('Topic')],
  ['workers', '#/workers', (page) => page.getByTestId('worker-worker-1')],
  ['metrics', '#/metrics', (page) => page.getByText('Over time')],
  ['unknown', '#/elsewhere', (page) => page.getByText('There is no page at this address')],
]
/** Before pictures are taken: the curves shall show something. */
const SECONDS_SEEN = 10

test('every page keeps the rules, light, dark and at phone width', async (t) => {
  const fleet = await startFleet(t)
  await fillFleet(fleet, SECONDS_SEEN)
  const { page, faults } = await visit(t, fleet.url)
  for (const [name, hash, ready] of PAGES) {
    await page.goto(`${fleet.url}/${hash}`)
    await ready(page).waitFor()
    await keepsRules(page, name)
  }
  await page.goto(`${fleet.url}/#/new`)
  for (const summary of await page.locator('.group > summary').all()) await summary.click()
  await keepsRules(page, 'new-open')
  assert.deepEqual(faults, [])
})

test('the pages without anything keep the rules too', async (t) => {
  const { url } = await startControlProgram(t, temporaryFolder(t))
  const { page, faults } = await visit(t, url)
  await page.getByTestId('start-worker').waitFor()
  await keepsRules(page, 'first')
  await page.goto(`${url}/#/workers`)
  await page.getByText('There is no worker yet').waitFor()
  await keepsRules(page, 'workers-none')
  assert.deepEqual(faults, [])
})

test('the page to sign in keeps the rules too', async (t) => {
  const env = { CONTROL_TOKEN: 'the-token-of-this-test' }
  const { url } = await startControlProgram(t, temporaryFolder(t), env)
  const { page, faults } = await visit(t, url)
  await page.getByLabel('Control token').waitFor()
  await keepsRules(page, 'sign-in')
  assert.deepEqual(faults, [])
})
