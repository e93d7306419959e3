/**
 * `npm run test:readme`: runs every shell block of the README, in order, as a newcomer would.
 *
 * In a folder with links to this checkout, so that what the commands write does not lie in it; on a
 * Kafka and an Elasticsearch of its own: their addresses, and a free port for the control plane,
 * stand in for those that the README names. Takes some minutes: `npm test` is one of the commands.
 *
 *   npm run test:readme               all blocks
 *   npm run test:readme -- --quick    without npm commands
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { writeCurlrc } from '../helpers/readme-curl.ts'
import { startKafka } from '../servers/kafka.ts'
import { startElasticsearch } from '../servers/search.ts'
import { commandsOf, shellBlocks, type Block } from './blocks.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const NOT_LINKED = new Set(['data', 'dist', '.git'])
/** `npm test` may take a quarter of an hour. */
const BLOCK_MS_MAX = 1_200_000
/** Long enough to start, join a group and read. */
const STOPPED_AFTER_MS = 8000
const SERVICE_MS_MAX = 30_000
const RECORDS_PER_TOPIC = 1000
const SHOWN_CHARS = 2000

interface Place {
  readonly folder: string
  /** Defaults of options that name servers, and curl's. */
  readonly env: Readonly<Record<string, string>>
  readonly addresses: readonly (readonly [written: RegExp, here: string])[]
}

interface Started {
  readonly child: ChildProcess
  readonly output: () => string
  /** 0 after the block; the shell's status, or 128 + 15 when the signal ended the shell itself. */
  readonly status: Promise<number>
}

const say = (line: string) => process.stdout.write(`${line}\n`)

function start(script: string, { folder, env }: Place): Started {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: { ...process.env, ...env },
    // A group of its own: what a block starts ends with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const status = new Promise<number>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGTERM' ? 143 : 1)))
  })
  return { child, status, output: () => output }
}

function signalGroup({ child }: Started, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // It has ended.
  }
}

/** @returns what went wrong, or null. */
async function runToEnd(script: string, place: Place): Promise<string | null> {
  const started = start(script, place)
  const timer = setTimeout(() => signalGroup(started, 'SIGKILL'), BLOCK_MS_MAX)
  const status = await started.status
  clearTimeout(timer)
  return status === 0 ? null : `status ${status}\n${started.output().slice(-SHOWN_CHARS)}`
}

async function runUntilStopped(command: string, place: Place): Promise<string | null> {
  const started = start(command, place)
  const early = await Promise.race([started.status, wait(STOPPED_AFTER_MS)])
  if (early !== undefined) {
    return `ended by itself with status ${early}\n${started.output().slice(-SHOWN_CHARS)}`
  }
  signalGroup(started, 'SIGTERM')
  const status = await started.status
  // The shell itself may hear the signal before its command has ended.
  if (status === 0 || status === 143) return null
  return `status ${status} after SIGTERM\n${started.output().slice(-SHOWN_CHARS)}`
}

/** Starts what goes on beside the other blocks. It has begun when it has said something. */
async function startService(command: string, place: Place, services: Started[]) {
  const started = start(command, place)
  services.push(started)
  const endMs = performance.now() + SERVICE_MS_MAX
  while (started.output() === '' && performance.now() < endMs) await wait(100)
  await wait(1000)
  return started.child.exitCode === null && started.output() !== ''
    ? null
    : `it does not run\n${started.output().slice(-SHOWN_CHARS)}`
}

async function wait(milliseconds: number): Promise<undefined> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

function localText(text: string, { addresses }: Place): string {
  return addresses.reduce((now, [written, here]) => now.replaceAll(written, here), text)
}

async function runBlock(block: Block, place: Place, services: Started[]): Promise<string | null> {
  const text = localText(block.text, place)
  if (block.kind === 'run') return await runToEnd(text, place)
  for (const command of commandsOf({ text })) {
    const wrong =
      block.kind === 'service'
        ? await startService(command, place, services)
        : await runUntilStopped(command, place)
    if (wrong !== null) return `${command}: ${wrong}`
  }
  return null
}

async function makePlace(): Promise<Place> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-readme-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  for (const name of readdirSync(ROOT)) {
    if (!NOT_LINKED.has(name)) symlinkSync(path.join(ROOT, name), path.join(folder, name))
  }
  mkdirSync(path.join(folder, 'data'))
  const [kafka, elasticsearch] = await Promise.all([startKafka(), startElasticsearch()])
  for (const topic of ['test', 'app-logs']) {
    await kafka.createTopic(topic, 4)
    const lines = Array.from({ length: RECORDS_PER_TOPIC }, (_, index) =>
      JSON.stringify({ level: index % 10 === 0 ? 'ERROR' : 'INFO', message: `line ${index}` }),
    )
    await kafka.produce(topic, lines)
  }
  const port = await freePort()
  writeCurlrc(folder)
  return {
    folder,
    env: {
      KAFKA_BROKERS: kafka.bootstrapServers,
      ES_URL: elasticsearch.url,
      CURL_HOME: folder,
    },
    addresses: [
      [/\b(127\.0\.0\.1|localhost):29092\b/g, kafka.bootstrapServers],
      [/http:\/\/localhost:9200\b/g, elasticsearch.url],
      [/:8088\b/g, `:${port}`],
    ],
  }
}

const quick = process.argv.includes('--quick')
const place = await makePlace()
const services: Started[] = []
let failed = 0
let passed = 0
let skipped = 0
for (const block of shellBlocks(readFileSync(path.join(ROOT, 'README.md'), 'utf8'))) {
  const [first = ''] = commandsOf(block)
  const title = `README.md:${block.line} ${block.kind}: ${first.split('\n')[0] ?? ''}`
  if (quick && /^\s*npm /m.test(block.text)) {
    say(`skipped  ${title}`)
    skipped++
    continue
  }
  const started = performance.now()
  const wrong = await runBlock(block, place, services)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  say(`${wrong === null ? 'ok     ' : 'FAILED '}  ${title} (${seconds} s)`)
  if (wrong === null) passed++
  else {
    failed++
    say(wrong)
  }
}
for (const service of services) signalGroup(service, 'SIGTERM')
await Promise.all(services.map(({ status }) => status))
say(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exit(failed === 0 ? 0 : 1)
