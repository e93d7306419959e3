/** What the control plane says of a pipeline's variables together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultTogether } from '../../src/control/pipeline-fields.ts'

test('a pipeline may count in place of writing', () => {
  assert.equal(faultTogether({ PRODUCT_LINE: 'metrics' }), undefined)
})

test('what run would refuse is refused before a worker has it', () => {
  assert.match(
    faultTogether({ POOL_SIZE: '2' }) ?? '',
    /^POOL_SIZE: expected at least \d+ slots, got 2/,
  )
  assert.match(faultTogether({ ES_ANSWER: 'a=b' }) ?? '', /^ES_ANSWER: expected an error type/)
  assert.match(faultTogether({ ES_USERNAME: 'u' }) ?? '', /^ES_USERNAME: requires ES_PASSWORD/)
})
