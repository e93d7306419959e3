/** What a child hears from sync. Its replies are seen in test/integration/sync.test.ts. */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { openParentLink } from '../../src/cli/parent-link.ts'
import { LogpipeError } from '../../src/core/errors.ts'

const CHILD = { LOGPIPE_PARENT_STDIN: '1' }

function listening() {
  const input = new PassThrough()
  const tails: number[] = []
  let goneCount = 0
  const link = openParentLink(
    CHILD,
    { onTail: (seconds) => tails.push(seconds), onGone: () => goneCount++ },
    input,
  )
  assert.ok(link !== null)
  return { input, tails, link, goneCount: () => goneCount }
}

const turn = async () => await new Promise((resolve) => setImmediate(resolve))

test('orders are heard line by line, however they are cut', async () => {
  const { input, tails, link, goneCount } = listening()
  input.write('{"id":"1","kind":"ta')
  input.write('il","seconds":10}\n{"kind":"tail","seconds":5}\n')
  input.write('nonsense\n[]\nnull\n{"kind":"dance"}\n{"kind":"tail","seconds":"x"}\n')
  input.write(`${'x'.repeat(100_000)}\n{"kind":"tail","seconds":7}\n`)
  await turn()
  assert.deepEqual(tails, [10, 5, 7])
  assert.equal(goneCount(), 0)
  // Without a LOGPIPE_REPLY_FD there is nobody to be told.
  link.sendTail(['x'])
})

test('the end of the input is heard once', async () => {
  const { input, goneCount } = listening()
  input.end()
  await turn()
  input.destroy()
  await turn()
  assert.equal(goneCount(), 1)
})

test('nobody listens unless asked to, and a wrong reply pipe is refused', () => {
  const events = { onTail: () => assert.fail(), onGone: () => assert.fail() }
  assert.equal(openParentLink({}, events, new PassThrough()), null)
  for (const text of ['1', 'x', '99999']) {
    assert.throws(
      () => openParentLink({ ...CHILD, LOGPIPE_REPLY_FD: text }, events, new PassThrough()),
      (error) => error instanceof LogpipeError && error.code === 'USAGE',
    )
  }
})
