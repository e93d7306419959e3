/** Rules and edits of fields in the form: a card for each rule, and each fault at its part. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepsRules, visit } from './chromium.ts'
import { pipelineOf, startFleet } from './fleet.ts'

test('rules are made, moved and mended as cards, and saved as they stand', async (t) => {
  const fleet = await startFleet(t)
  await fleet.call('POST', '/api/pipelines', pipelineOf(fleet))
  const { page, faults } = await visit(t, `${fleet.url}/#/pipelines/1/settings`)
  const saved = async () => (await fleet.call('GET', '/api/pipelines/1')).body
  const save = page.getByRole('button', { name: 'Save as a new revision' })
  await page.locator('summary', { hasText: /^Filter/ }).click()
  const add = page.getByRole('button', { name: 'Add a rule' })
  const card = (index: number) => page.getByTestId('rules').locator('.rule-card').nth(index)

  await add.click()
  await card(0).getByLabel('Name').fill('errors')
  await card(0).getByLabel('Keep records that meet').fill('level:ERROR\n/timed? out/')
  await card(0).getByLabel('Index').fill('errors-{+yyyy.MM.dd}')
  await card(0).getByRole('button', { name: 'Add an edit' }).click()
  await card(0).getByLabel('What to do').selectOption('redact')
  await card(0).getByLabel('Field', { exact: true }).fill('user.ip')
  await card(0).getByLabel('mask or hash').fill('mask')
  await add.click()
  await card(1).getByLabel('Name').fill('rest')
  await card(1).getByLabel('Keep records that meet').fill('level=INFO')
  await card(1).getByLabel('Sample').fill('10%')
  await card(1).getByLabel('Keep together by').fill('trace.id')

  await save.click()
  const fault = page.locator('#field-rules-1-keep-fault')
  await fault.locator('.caret').waitFor()
  assert.match((await fault.textContent()) ?? '', /column 6: expected :, got =/)
  const keep = card(1).getByLabel('Keep records that meet')
  assert.equal(await keep.getAttribute('aria-invalid'), 'true')
  await page
    .getByTestId('faults')
    .getByRole('button', { name: /^Rules: rule "rest"/ })
    .click()
  assert.equal(await page.evaluate('document.activeElement.id'), 'field-rules-1-keep')
  await keepsRules(page, 'rules-fault')

  await keep.fill('level:INFO')
  // Typing tries it, too, and finds nothing wrong.
  await page.getByLabel(/^Every rule that holds/).check()
  await card(1).getByRole('button', { name: 'Move rest up' }).click()
  await page.getByRole('group', { name: 'Edits of fields fields' }).getByText('Add an edit').click()
  const whole = page.getByRole('group', { name: 'Edits of fields fields' })
  await whole.getByLabel('Field', { exact: true }).fill('password')
  await fault.waitFor({ state: 'detached' })
  await keepsRules(page, 'rules-cards')
  await save.click()
  await page.getByText('Saved as revision 2').waitFor()
  const { rules, fields, match_pattern: pattern } = await saved()
  assert.deepEqual(JSON.parse(rules), {
    all: true,
    list: [
      { name: 'rest', keep: 'level:INFO', sample: { share: '10%', by: 'trace.id' } },
      {
        name: 'errors',
        keep: ['level:ERROR', '/timed? out/'],
        index: 'errors-{+yyyy.MM.dd}',
        fields: { redact: { 'user.ip': 'mask' } },
      },
    ],
  })
  assert.deepEqual(JSON.parse(fields), { remove: ['password'] })
  assert.equal(pattern, undefined)

  await card(0).getByRole('button', { name: 'Remove rest' }).click()
  await card(0).getByRole('button', { name: 'Remove errors' }).click()
  await save.click()
  await page.getByText('Saved as revision 3').waitFor()
  assert.equal((await saved()).rules, undefined)

  assert.deepEqual(
    faults.filter((one) => !/status of (409|422)/.test(one)),
    [],
  )
})
