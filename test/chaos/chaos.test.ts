/**
 * The short form of `npm run test:chaos`: every kind of fault, overlapping, in two minutes. Its
 * seed is fixed, so that a failure comes again; other seeds are the long form's.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serversMissing } from '../servers/stack.ts'
import { runChaos } from './chaos.ts'
import { faultsOf } from './report.ts'

const SEED = 1
const missing = serversMissing(['kafka', 'elasticsearch'])

test(
  'nothing is lost or duplicated while everything fails at some time',
  { skip: missing ?? false, timeout: 230_000 },
  async () => {
    const outcome = await runChaos({
      seed: SEED,
      faults: 30,
      minutes: 1.2,
      brokers: 1,
      members: { cache: 2, durable: 1 },
      perSecond: 300,
      // Longer than the session: the group goes on without it.
      stopSeconds: 15,
      // Shown when it fails.
      say: (line) => void process.stdout.write(`${line}\n`),
    })
    assert.deepEqual(faultsOf(outcome), [])
    assert.ok(outcome.acknowledged > 10_000)
  },
)
