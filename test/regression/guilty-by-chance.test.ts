/**
 * The weight of resets and time-outs counted towards the lower bound of refusals: after some of
 * them, the first 401 of a gateway sent a good document to the dead letters, or ended the process.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CLUSTER,
  Evidence,
  isGuilty,
  type Suspicion,
} from '../../src/sink/elasticsearch/evidence.ts'

/** A document that fails alone with these, beside others that go well. */
function suspicionOf(...statuses: readonly number[]): Suspicion {
  const evidence = new Evidence()
  let suspicion = evidence.suspicion(CLUSTER)
  for (const [at, status] of statuses.entries()) {
    evidence.good(CLUSTER, 1, at)
    suspicion = evidence.failedAlone(suspicion, CLUSTER, status)
  }
  return suspicion
}

test('one refusal behind resets says no more than one refusal', () => {
  assert.equal(isGuilty(suspicionOf(503, 0, 503, 0, 503, 401)), false)
  assert.equal(isGuilty(suspicionOf(400, 400, 400)), true)
  assert.equal(isGuilty(suspicionOf(0, 0, 0, 0, 0, 0, 0, 0, 0)), true)
})
