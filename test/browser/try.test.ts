/** A filter that is tried on real records while somebody types it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../helpers/program.ts'
import { keepsRules, visit } from './chromium.ts'
import { pipelineOf, startFleet } from './fleet.ts'

/** A worker is asked, and starts a process that joins nobody. */
const PATIENCE_MS = 60_000

test('the latest records stand beside the filter, each with its verdict', async (t) => {
  const fleet = await startFleet(t)
  await fleet.call('POST', '/api/pipelines', pipelineOf(fleet))
  const { page, faults } = await visit(t, `${fleet.url}/#/pipelines/1/settings`)
  page.setDefaultTimeout(PATIENCE_MS)
  const panel = page.getByTestId('try')
  const now = panel.getByRole('button')

  await now.click()
  await panel.getByText('No live worker runs pipeline 1').waitFor()
  await keepsRules(page, 'try-no-worker')

  await fleet.call('POST', '/api/pipelines/1/start')
  fleet.startWorker('worker-1')
  fleet.feed()
  await until('records', async () => {
    const { body } = await fleet.call('GET', '/api/pipelines/1/books')
    return (body.entries?.fetched ?? 0) > 1000
  })
  const keep = page.getByLabel('Keep records that meet')
  await keep.fill('level:')
  await page.locator('#field-match_keep-fault .caret').waitFor()
  assert.equal(await keep.getAttribute('aria-invalid'), 'true')
  const caret = await page.locator('#field-match_keep-fault').textContent()
  assert.match(caret ?? '', /^column 7: expected a value, got the end {2}level:\n {8}\^$/)
  await keepsRules(page, 'try-fault')

  // Each message says how the next attempt is written.
  await keep.fill('level=ERROR')
  await page.getByText('expected :, got =: write level:VALUE for a field').waitFor()
  await keep.fill('level:ERROR and @topc:app-logs')
  await page.getByText('unknown @topc: did you mean @topic?').waitFor()

  await keep.fill('"ERROR" and not "timeout"')
  await panel.getByText(/^\d+ of 200 records kept$/).waitFor()
  await page.locator('#field-match_keep-fault').waitFor({ state: 'detached' })
  const rows = panel.getByRole('listitem')
  const texts = await panel.locator('.tried li').allTextContents()
  assert.equal(texts.length, 200)
  assert.ok(texts.some((text) => text.startsWith('kept') && text.includes('ERROR')))
  const dropped = texts.filter((text) => text.startsWith('dropped'))
  assert.ok(dropped.every((text) => text.includes('is not met')))
  assert.ok((await rows.count()) > 200, 'and the terms that said no')
  await keepsRules(page, 'try-records')
  const saved = async () => (await fleet.call('GET', '/api/pipelines/1')).body
  const before = await saved()
  assert.deepEqual([before.revision, before.match_keep], [1, undefined], 'nothing was saved')

  const topic = page.getByLabel('Topic')
  await topic.fill('no-such-topic')
  await now.click()
  await panel.getByText(/topic no-such-topic does not exist/).waitFor()
  assert.equal((await saved()).kafka_topic, fleet.topic)
  await topic.fill(fleet.topic)
  await now.click()
  await panel.getByText(/^\d+ of 200 records kept$/).waitFor()
  // Started since the form was opened, which is no change of what is edited.
  await page.getByRole('button', { name: 'Save as a new revision' }).click()
  await page.getByText('Saved as revision 2').waitFor()
  assert.equal((await saved()).match_keep, '"ERROR" and not "timeout"')
  assert.deepEqual(
    faults.filter((fault) => !/status of (409|412|422)/.test(fault)),
    [],
  )
})
