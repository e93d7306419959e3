/** Changing a pipeline: faults at their fields, revisions and the way back, nothing overwritten. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { startControlProgram, temporaryFolder } from '../helpers/program.ts'
import { picture, visit } from './chromium.ts'

/** Without what the browser itself says of an answer that is no success. */
const unexpected = (faults: readonly string[]) =>
  faults.filter((fault) => !/status of (409|412|422)/.test(fault))

async function settingsOf(t: TestContext, body: Readonly<Record<string, unknown>> = {}) {
  const control = await startControlProgram(t, temporaryFolder(t))
  const made = await control.call('POST', '/api/pipelines', { name: 'logs', ...body })
  assert.equal(made.status, 201)
  const { page, faults } = await visit(t, `${control.url}/#/pipelines/1/settings`)
  const save = page.getByRole('button', { name: 'Save as a new revision' })
  await save.waitFor()
  const now = async () => (await control.call('GET', '/api/pipelines/1')).body
  return { ...control, page, faults, save, now }
}

test('a wrong field is told at its place, also when it is folded away', async (t) => {
  const { page, faults, save, now } = await settingsOf(t)
  await page.getByText('Threads and memory').click()
  await page.getByLabel('Pool (slots)').fill('many')
  await page.getByText('Threads and memory').click()
  await page.getByLabel('Kafka brokers').fill('no port')
  await save.click()
  const summary = page.getByTestId('faults')
  await summary.waitFor()
  assert.equal(await page.evaluate('document.activeElement.dataset.test'), 'faults')
  const pool = page.getByLabel('Pool (slots)')
  assert.equal(await pool.getAttribute('aria-invalid'), 'true')
  const described = (await pool.getAttribute('aria-describedby')) ?? ''
  assert.match(described, /field-pool_size-fault/)
  assert.match((await page.locator('#field-pool_size-fault').textContent()) ?? '', /2 to 65536/)
  await picture(page, 'settings-faults')
  await summary.getByRole('button', { name: /Kafka brokers/ }).click()
  await page.keyboard.press('ControlOrMeta+a')
  await page.keyboard.type('kafka:9092')
  assert.equal((await now()).revision, 1, 'nothing was saved')
  await pool.fill('64')
  await save.click()
  await page.getByText('Saved as revision 2').waitFor()
  const saved = await now()
  assert.equal(saved.pool_size, 64)
  assert.equal(saved.kafka_brokers, 'kafka:9092')
  assert.deepEqual(unexpected(faults), [])
})

test('a certificate keeps its lines', async (t) => {
  const { page, faults, save, now } = await settingsOf(t)
  const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'
  const add = page.locator('#field-kafka_config')
  await add.evaluate((button: { closest: (tag: string) => { open: boolean } | null }) => {
    const folded = button.closest('details')
    if (folded !== null) folded.open = true
  })
  await add.click()
  await page.getByLabel('Name', { exact: true }).last().fill('ssl.ca.pem')
  await page.getByLabel('Value', { exact: true }).last().fill(pem)
  await save.click()
  await page.getByText('Saved as revision 2').waitFor()
  assert.deepEqual((await now()).kafka_config, { 'ssl.ca.pem': pem })
  assert.deepEqual(unexpected(faults), [])
})

test('an earlier revision is put in force again', async (t) => {
  const { page, faults, save, now } = await settingsOf(t, { kafka_topic: 'first' })
  await page.getByLabel('Topic').fill('second')
  await save.click()
  await page.getByText('Saved as revision 2').waitFor()
  await page.getByRole('link', { name: 'Revisions' }).click()
  await page.getByRole('button', { name: /Roll back to this/ }).click()
  const dialog = page.getByRole('dialog')
  assert.match((await dialog.textContent()) ?? '', /kafka_topic second → first/)
  await dialog.getByRole('button', { name: 'Roll back' }).click()
  await page.getByRole('heading', { name: /Revision 3/ }).waitFor()
  assert.equal((await now()).kafka_topic, 'first')
  assert.deepEqual(faults, [])
})

test('an edit overwrites nothing that somebody else saved meanwhile', async (t) => {
  const { page, faults, save, now, call } = await settingsOf(t, { kafka_topic: 'first' })
  await page.getByLabel(/^Index es_index/).fill('mine')
  const theirs = { name: 'logs', kafka_topic: 'theirs' }
  assert.equal((await call('PUT', '/api/pipelines/1', theirs)).status, 200)
  await save.click()
  const conflict = page.getByTestId('conflict')
  await conflict.getByText('Nothing was saved').waitFor()
  assert.match((await conflict.textContent()) ?? '', /kafka_topic first → theirs/)
  await picture(page, 'settings-conflict')
  assert.equal((await now()).es_index, undefined)
  assert.equal(await page.getByLabel('Topic').inputValue(), 'theirs')
  assert.equal(await page.getByLabel(/^Index es_index/).inputValue(), 'mine')
  await save.click()
  await page.getByText('Saved as revision 3').waitFor()
  const saved = await now()
  assert.equal(saved.kafka_topic, 'theirs')
  assert.equal(saved.es_index, 'mine')
  assert.deepEqual(unexpected(faults), [])
})

test('a secret is written, never shown, and removed when one says so', async (t) => {
  const { page, save, now } = await settingsOf(t)
  await page.locator('.group > summary', { hasText: 'Elasticsearch' }).click()
  const key = page.getByLabel('API key')
  await key.fill('aGk6c2VjcmV0')
  await save.click()
  await page.getByText('Saved as revision 2').waitFor()
  assert.equal((await now()).secrets.es_api_key, 'set')
  assert.equal(await key.inputValue(), '')
  await page.getByLabel(/^Index es_index/).fill('other')
  await save.click()
  await page.getByText('Saved as revision 3').waitFor()
  assert.equal((await now()).secrets.es_api_key, 'set', 'left empty, it stays')
  await page.getByLabel('Remove it').check()
  await save.click()
  await page.getByText('Saved as revision 4').waitFor()
  assert.equal((await now()).secrets.es_api_key, 'unset')
})

test('a link does not throw away what was typed without asking', async (t) => {
  const { page } = await settingsOf(t)
  const asked: string[] = []
  page.on('dialog', (dialog) => {
    asked.push(dialog.message())
    void (asked.length === 1 ? dialog.dismiss() : dialog.accept())
  })
  await page.getByRole('link', { name: 'Workers' }).click()
  await page.getByRole('heading', { name: 'Workers' }).waitFor()
  await page.goBack()
  await page.getByLabel('Topic').fill('typed')
  await page.getByRole('link', { name: 'Workers' }).click()
  assert.equal(await page.getByLabel('Topic').inputValue(), 'typed', 'one stays')
  await page.getByRole('link', { name: 'Workers' }).click()
  await page.getByRole('heading', { name: 'Workers' }).waitFor()
  assert.equal(asked.length, 2, 'only when there is something to lose')
})
