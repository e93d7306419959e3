/** What can go wrong with a real Kafka: one clear line, the right status, and nothing lost. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { flags, Logpipe, testFolder, type Ended } from '../helpers/logpipe.ts'
import { saslServers, startKafka, type KafkaClient } from '../servers/kafka.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing(['kafka']) ?? false

const RECORDS = 3000
const lineOf = (index: number) => `ERROR ${index} ${'.'.repeat(200)}`

async function filledTopic(kafka: KafkaClient): Promise<string> {
  const topic = uniqueName('errors')
  await kafka.createTopic(topic, 2)
  await kafka.produce(
    topic,
    Array.from({ length: RECORDS }, (_, index) => lineOf(index)),
  )
  return topic
}

function from(brokers: string, topic: string): string[] {
  return [
    'run',
    ...flags({ brokers, topic, group: uniqueName('errors'), 'filter-threads': 2 }),
    ...flags({ 'pool-size': 32, 'run-seconds': 0 }),
  ]
}

function assertOneLine({ stderr }: Ended, says: RegExp): void {
  assert.match(stderr, says)
  assert.match(stderr, /^logpipe: [^\n]+\n$/, 'one line, and nothing but it')
}

test('a topic that is not there is named, with what to do', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const run = new Logpipe(t, [...from(kafka.bootstrapServers, 'no-such-topic'), '--quiet'])
  const ended = await run.ended
  assertOneLine(ended, /topic no-such-topic does not exist: create it, or name another/)
  assert.equal(ended.status, 1)
})

test('a wrong password is told at once, and the right one works', { skip }, async (t) => {
  const user = { name: 'reader', password: 'correct' }
  const kafka = await startKafka({ user })
  t.after(() => kafka.stop())
  const topic = await filledTopic(kafka)
  const secured = (password: string, mechanism = 'PLAIN') => [
    ...from(saslServers(kafka), topic),
    ...['security.protocol=SASL_PLAINTEXT', `sasl.mechanism=${mechanism}`]
      .concat('sasl.username=reader', `sasl.password=${password}`)
      .flatMap((each) => ['--kafka-config', each]),
  ]
  const wrong = await new Logpipe(t, [...secured('battery'), '--quiet']).ended
  assertOneLine(
    wrong,
    /refused the connection: .*Authentication failed.*check security\.protocol, sasl\.\*/,
  )
  assert.doesNotMatch(wrong.stderr, /battery/)
  assert.equal(wrong.status, 1)

  const unknown = await new Logpipe(t, [...secured('correct', 'SCRAM-SHA-256'), '--quiet']).ended
  assertOneLine(unknown, /refused the connection: .*mechanisms: PLAIN/)
  assert.equal(unknown.status, 1)

  const right = new Logpipe(t, [...secured('correct'), '--output', 'file:out'])
  await right.until('it wrote all', () => right.metric('written_total') === RECORDS)
  await right.stop()
})

/** An unsigned JWT, as a broker for tests takes it. */
function tokenUntil(expiresMs: number): string {
  const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url')
  const iat = Math.floor(Date.now() / 1000) - 60
  const exp = Math.floor(expiresMs / 1000)
  return `${part({ alg: 'none' })}.${part({ sub: 'reader', iat, exp })}.`
}

test('a token comes from its file, and one that is over is refused', { skip }, async (t) => {
  const kafka = await startKafka({ bearer: true })
  t.after(() => kafka.stop())
  const topic = await filledTopic(kafka)
  const folder = testFolder(t)
  const file = path.join(folder, 'token')
  const signIn = [
    '--kafka-config=security.protocol=SASL_PLAINTEXT',
    '--kafka-config=sasl.mechanism=OAUTHBEARER',
    '--kafka-token-file=token',
  ]
  const args = [...from(saslServers(kafka), topic), ...signIn, '--output=file:out']
  const missing = await new Logpipe(t, [...args, '--quiet'], { folder }).ended
  assertOneLine(missing, /KAFKA_TOKEN_FILE: cannot read token: no such file or directory/)
  assert.equal(missing.status, 1)

  writeFileSync(file, tokenUntil(Date.now() - 60_000))
  const over = await new Logpipe(t, [...args, '--quiet'], { folder }).ended
  assertOneLine(over, /KAFKA_TOKEN_FILE: the token in token expired at .*; replace it/)
  assert.equal(over.status, 1)

  writeFileSync(file, tokenUntil(Date.now() + 3_600_000))
  const right = new Logpipe(t, args, { folder })
  await right.until('it wrote all', () => right.metric('written_total') === RECORDS)
  await right.stop()

  const replay = ['replay', ...flags({ brokers: saslServers(kafka), topic }), ...signIn]
  const span = ['--from=2026-01-01T00:00Z', '--output=file:again']
  const again = await new Logpipe(t, [...replay, ...span], { folder }).ended
  assert.equal(again.status, 0, again.stderr)
  assert.equal(linesOf(readFileSync(path.join(folder, 'again'))).length, RECORDS)
})

test('a disk that is full ends it with nothing lost', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-e2e-'))
  const disk = path.join(folder, 'disk')
  mkdirSync(disk)
  const mount = (...args: string[]) => spawnSync('mount', args).status === 0
  const isMounted = mount('-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk)
  t.after(() => {
    if (isMounted) spawnSync('umount', ['--lazy', disk])
    rmSync(folder, { recursive: true, force: true })
  })
  if (!isMounted) {
    t.skip('no right to mount a small disk')
    return
  }
  const topic = await filledTopic(kafka)
  const args = [...from(kafka.bootstrapServers, topic), ...flags({ output: 'file:disk/out' })]
  const ended = await new Logpipe(t, [...args, '--quiet'], { folder }).ended
  assertOneLine(ended, /the output file disk\/out cannot be written: ENOSPC/)
  assert.equal(ended.status, 1)
  const before = linesOf(readFileSync(path.join(disk, 'out')))

  // With room again the same group goes on where the file ends.
  assert.ok(mount('-o', 'remount,size=16m', disk))
  const again = new Logpipe(t, args, { folder })
  const written = () => linesOf(readFileSync(path.join(disk, 'out')))
  await again.until('it wrote all', () => written().length >= RECORDS)
  await again.stop()
  assert.deepEqual(written().slice(0, before.length), before)
  assert.deepEqual(
    written().sort(),
    Array.from({ length: RECORDS }, (_, index) => lineOf(index)).sort(),
  )
})

function linesOf(text: Buffer): string[] {
  return text.toString('utf8').split('\n').slice(0, -1)
}

test('a reader that goes away ends it quietly, with status 0', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const topic = await filledTopic(kafka)
  const run = new Logpipe(t, [...from(kafka.bootstrapServers, topic), '--quiet'])
  await run.until('the first output', () => run.stdoutBytes > 0)
  run.closeStdout()
  // What has been read is in the pipe; the next write finds it closed.
  await kafka.produce(topic, ['ERROR again'])
  const { status, stderr } = await run.ended
  assert.equal(stderr, '')
  assert.equal(status, 0)
})

test('SIGINT drains what was read, and ends with status 0', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const topic = await filledTopic(kafka)
  const group = uniqueName('errors')
  const run = new Logpipe(t, [
    ...from(kafka.bootstrapServers, topic),
    ...flags({ group, output: 'file:out' }),
  ])
  await run.until('it reads', () => /assigned [1-9]/.test(run.stderr))
  run.signal('SIGINT')
  const { status, stderr } = await run.ended
  assert.equal(status, 0, stderr)
  assert.match(stderr, /^books balance$/m)
  const lines = linesOf(readFileSync(path.join(run.folder, 'out')))
  const committed = await kafka.groupOffsets(group, topic)
  const sum = committed.reduce((total, offset) => total + Math.max(0, offset), 0)
  assert.equal(sum, lines.length, 'what is written is committed, and no more')
})

test('a second SIGINT ends at once, with status 130', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const topic = await filledTopic(kafka)
  const args = from(kafka.bootstrapServers, topic)
  // Nobody reads stdout: the drain would wait for its whole deadline.
  const run = new Logpipe(t, args, { readStdout: false })
  await run.until('it waits for its reader', () => run.metric('es_mem_queue_len') > 0)
  run.signal('SIGINT')
  await run.until('it polls no more', () => run.stderr.split('kafka=0 msg/s').length > 3)
  assert.ok(!run.hasEnded)
  run.signal('SIGINT')
  const { status, signal } = await run.ended
  assert.deepEqual({ status, signal }, { status: 130, signal: null })
})
