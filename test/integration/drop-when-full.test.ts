/**
 * ES_DROP_WHEN_FULL with the whole program: once the queue and the spill are full, what comes is
 * dropped and counted, and reading goes on; without it, reading waits.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { flags, Logpipe } from '../helpers/logpipe.ts'

const SMALL = {
  'es-queue-cap': 2000,
  'es-bulk-actions': 500,
  'es-spill-max-bytes': 2_000_000,
  'ingress-threads': 1,
  'filter-threads': 1,
  'pool-size': 16,
  'shutdown-deadline': '3s',
}

for (const drops of ['1', '0']) {
  test(`a full queue and a full spill, with ES_DROP_WHEN_FULL=${drops}`, async (t) => {
    const fake = new FakeBulk()
    const url = await fake.listen()
    t.after(() => fake.close())
    fake.script = () => ({ kind: 'status', status: 503 })
    const env = { ES_ENABLED: '1', ES_URL: url, ES_DROP_WHEN_FULL: drops }
    const given = ['run', '--embedded', '--pattern', 'INFO', '--run-seconds', '8', ...flags(SMALL)]
    const { status, stderr } = await new Logpipe(t, given, { env }).ended
    // What waits in the queue and in the spill is read again by the next start.
    assert.equal(status, 1, stderr)
    const dropped = numberOf(stderr, 'dropped(es_full)')
    if (drops === '1') assert(dropped > 0, stderr)
    else assert.equal(dropped, 0)
    assert.match(stderr, /^books balance; [\d,]+ pending/m)
    const pending = numberOf(stderr, 'pending')
    assert(pending > 2000 && pending < 40_000, `${pending} pending`)
  })
}

/** A number of the books in total; 0 when it is not in them. */
function numberOf(stderr: string, name: string): number {
  const cells = (line: RegExp) => line.exec(stderr)?.[0].split(/ {2,}/) ?? []
  const column = cells(/^books {2}.*$/m).indexOf(name)
  return column === -1 ? 0 : Number(cells(/^total .*$/m)[column]?.replaceAll(',', ''))
}
