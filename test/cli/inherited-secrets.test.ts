/** Secrets from a descriptor, as sync hands them over. */
import assert from 'node:assert/strict'
import { openSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { withInheritedSecrets } from '../../src/cli/inherited-secrets.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { temporaryFolder } from '../helpers/program.ts'

function descriptorWith(t: TestContext, text: string): string {
  const file = path.join(temporaryFolder(t), 'secrets')
  writeFileSync(file, text)
  return String(openSync(file, 'r'))
}

function refusal(env: Record<string, string>): string {
  try {
    withInheritedSecrets(env)
  } catch (error) {
    assert.ok(error instanceof LogpipeError && error.code === 'USAGE', String(error))
    return error.message
  }
  return assert.fail('not refused')
}

test('inherited secrets lie below the variables that are set', (t) => {
  const descriptor = descriptorWith(t, '{"ES_PASSWORD":"a","ES_USERNAME":"b","ES_API_KEY":"c"}')
  const env = { LOGPIPE_SECRETS_FD: descriptor, ES_PASSWORD: 'mine', ES_USERNAME: '' }
  const merged = withInheritedSecrets(env)
  assert.equal(merged['ES_PASSWORD'], 'mine')
  assert.equal(merged['ES_USERNAME'], 'b', 'an empty variable counts as not set')
  assert.equal(merged['ES_API_KEY'], 'c')
  const plain = { ES_PASSWORD: 'mine' }
  assert.equal(withInheritedSecrets(plain), plain)
})

test('what is no object of texts is refused without being repeated', (t) => {
  for (const text of ['hunter2', '["hunter2"]', '{"ES_PASSWORD":["hunter2"]}', '']) {
    const message = refusal({ LOGPIPE_SECRETS_FD: descriptorWith(t, text) })
    assert.match(message, /^LOGPIPE_SECRETS_FD: expected /)
    assert.doesNotMatch(message, /hunter2/)
  }
  const long = JSON.stringify({ ES_PASSWORD: 'x'.repeat(1024 * 1024) })
  assert.match(refusal({ LOGPIPE_SECRETS_FD: descriptorWith(t, long) }), /at most 1 MiB/)
})

test('a descriptor must be one that was opened for us', () => {
  for (const text of ['0', '2', '-1', 'x', '3.5', '99999999']) {
    assert.match(refusal({ LOGPIPE_SECRETS_FD: text }), /expected the number of a descriptor/)
  }
  assert.match(refusal({ LOGPIPE_SECRETS_FD: '99999' }), /cannot be read/)
})
