/**
 * Who may read with a group, on a real Kafka: a terminal leaves it alone, another pipeline is
 * refused while one is live in it, and is told of the one before.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { flags, Logpipe, testFolder } from '../helpers/logpipe.ts'
import { ARGUMENTS, COMMAND } from '../helpers/program-command.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing(['kafka']) ?? false
const LINES = ['ERROR 1', 'FATAL 2', 'ERROR 3', 'WARN 4']

async function fixture(t: TestContext) {
  const kafka = await sharedKafka(t)
  const topic = uniqueName('sharing')
  await kafka.createTopic(topic, 2)
  await kafka.produceInTurns(topic, LINES, 2)
  // One member a process, so that two processes have a partition each.
  const own = { topic, group: topic, 'ingress-threads': 1, 'pool-size': 16 }
  const options = { brokers: kafka.bootstrapServers, ...own }
  const args = (more: Record<string, string | number>) => ['run', ...flags({ ...options, ...more })]
  const committed = () => kafka.groupOffsets(topic, topic)
  const start = (more: Record<string, string | number>, switches: readonly string[] = []) =>
    new Logpipe(t, [...args({ output: 'file:out', 'run-seconds': 0, ...more }), ...switches])
  const lines = (run: Logpipe) => {
    const file = path.join(run.folder, 'out')
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').toSorted() : []
  }
  return { topic, args, committed, start, lines }
}

/** With a terminal as its stdout and stderr, which goes away once all of these were seen. */
async function onTerminal(t: TestContext, args: readonly string[], wanted: readonly string[]) {
  const quoted = [COMMAND, ...ARGUMENTS, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', quoted, '/dev/null'], {
    cwd: testFolder(t),
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let seen = ''
  for await (const text of child.stdout.setEncoding('utf8')) {
    seen += String(text)
    if (wanted.every((one) => seen.includes(one))) child.kill('SIGTERM')
  }
  return seen
}

test(
  'matches on a terminal leave the group as it is, and a group at its end says so',
  {
    skip,
  },
  async (t) => {
    const { topic, args, committed, start, lines } = await fixture(t)
    const wanted = ['ERROR 1', 'ERROR 3']
    const seen = await onTerminal(t, args({ 'run-seconds': 60 }), wanted)
    for (const one of wanted) assert.ok(seen.includes(one), seen)
    assert.match(seen, /matches go to the terminal: joins no group, commits nothing/)
    assert.deepEqual(await committed(), [-1, -1])

    const first = start({})
    await first.until('the matches', () => lines(first).length === 2)
    first.signal('SIGTERM')
    assert.equal((await first.ended).status, 0)
    assert.deepEqual(lines(first), ['ERROR 1', 'ERROR 3'])
    assert.deepEqual(await committed(), [2, 2])

    const second = start({})
    const line = `nothing to read: group ${topic} is at the end of ${topic}`
    await second.until('the line', () => second.stderr.includes(line))
    second.signal('SIGTERM')
    assert.equal((await second.ended).status, 0)
  },
)

test(
  'another pipeline is refused while one is live in the group, and is told of one before',
  {
    skip,
  },
  async (t) => {
    const { topic, start } = await fixture(t)
    const errors = start({})
    await errors.until('its partitions', () => errors.stderr.includes('assigned 2 partitions'))

    const fatal = await start({ pattern: 'FATAL' }).ended
    assert.equal(fatal.status, 1)
    assert.match(
      fatal.stderr,
      new RegExp(`group ${topic} is in use by another pipeline, .*"ERROR"`),
    )
    assert.match(fatal.stderr, /this one is "FATAL" to file .*--group NAME.*--take-over/)

    const same = start({})
    await same.until('its share', () => same.stderr.includes('assigned'))
    same.signal('SIGTERM')
    assert.equal((await same.ended).status, 0)

    const over = start({ pattern: 'FATAL' }, ['--take-over'])
    await over.until('it joins', () => over.stderr.includes('assigned'))
    over.signal('SIGTERM')
    assert.equal((await over.ended).status, 0)

    errors.signal('SIGTERM')
    assert.equal((await errors.ended).status, 0)
    const later = start({ pattern: 'WARN' })
    await later.until('it joins', () => later.stderr.includes('assigned'))
    assert.match(later.stderr, /was used by another pipeline before \(.*"ERROR" to file/)
    later.signal('SIGTERM')
    assert.equal((await later.ended).status, 0)
  },
)
