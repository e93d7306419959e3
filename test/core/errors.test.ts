/** The table of errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  connectFault,
  ERRORS,
  fetchFault,
  LogpipeError,
  messageOf,
  type ErrorCode,
} from '../../src/core/errors.ts'

test('every error carries its own code, exit status and cause', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const cause = new Error('below')
    const error = new LogpipeError(code, 'what came', { cause })
    assert.equal(error.code, code)
    assert.equal(error.exitStatus, ERRORS[code])
    assert.equal(error.cause, cause)
  }
})

test('the message of anything thrown can be told', () => {
  assert.equal(messageOf(new Error('x')), 'x')
  assert.equal(messageOf(undefined), 'undefined')
  assert.equal(messageOf('text'), 'text')
})

test('a connection that fails is told in words, also by way of fetch', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED ::1:1'), { code: 'ECONNREFUSED' })
  const words = 'connection refused: nothing listens there'
  assert.equal(connectFault(refused), words)
  assert.equal(fetchFault(new TypeError('fetch failed', { cause: refused })), words)
  assert.equal(fetchFault(new Error('another')), 'another')
  // Of a host with several addresses, an error of errors without a message.
  assert.equal(connectFault(Object.assign(new AggregateError([]), { code: 'EPIPE' })), 'EPIPE')
})
