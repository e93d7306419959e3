/** none: it counts, settles, and holds nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoneSink } from '../../src/sink/none-sink.ts'
import { RecordedBatch } from './recorded-batch.ts'

test('none settles at once and counts what it was given', async () => {
  const sink = new NoneSink()
  await sink.open()
  const batch = new RecordedBatch(['a\n', 'bc\n'])
  sink.write(batch)
  assert(batch.isSettled)
  await sink.flush()
  await sink.close()
  const { queuedDocuments, writtenDocuments, writtenBytes, trouble } = sink.gauges()
  assert.deepEqual([queuedDocuments, writtenDocuments, writtenBytes, trouble], [0, 2, 5, null])
})
