/** Workers: assigned by hand, given back, forgotten. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startControlProgram, temporaryFolder } from '../helpers/program.ts'
import { picture, visit } from './chromium.ts'

test('a worker is assigned by hand, and given back to the scheduler', async (t) => {
  const { url, call } = await startControlProgram(t, temporaryFolder(t))
  await call('POST', '/api/pipelines', { name: 'one' })
  await call('POST', '/api/pipelines', { name: 'two' })
  // It calls once, and counts as live for five of its own polls.
  const beat = { state: 'idle', poll_ms: 60_000, version: '0.1.0' }
  await call('POST', '/api/workers/worker-7/heartbeat', beat)
  const { page, faults } = await visit(t, `${url}/#/workers`)
  const row = page.getByTestId('worker-worker-7')
  await row.getByText('waiting').waitFor()
  await row.getByRole('button', { name: 'Assign worker-7' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Pipeline', { exact: true }).selectOption('two')
  await picture(page, 'assign')
  await dialog.getByRole('button', { name: 'Assign' }).click()
  await row.getByText('manual').waitFor()
  await row.getByRole('link', { name: 'two' }).waitFor()
  assert.equal((await call('GET', '/api/pipelines/2')).body.enabled, true, 'it is started')
  await row.getByRole('button', { name: 'Assign worker-7' }).click()
  await dialog.getByLabel('Pipeline', { exact: true }).selectOption('The scheduler decides')
  await dialog.getByRole('button', { name: 'Assign' }).click()
  await row.getByText('by the scheduler').waitFor()
  assert.deepEqual(faults, [])
})

test('a worker that is lost is forgotten', async (t) => {
  const { url, call } = await startControlProgram(t, temporaryFolder(t))
  await call('POST', '/api/workers/worker-1/heartbeat', { state: 'exiting' })
  const { page, faults } = await visit(t, `${url}/#/workers`)
  await page.getByRole('button', { name: 'Forget worker-1' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click()
  await page.getByText('There is no worker yet').waitFor()
  assert.deepEqual(faults, [])
})
