/**
 * The resident memory of a run at full speed, beside the sum that `logpipe check` prints.
 *
 * Question: does the process stay below its sum, however long it reads as fast as it can?
 * Load: a backlog first, so that every queue fills; then producers that start anew as soon as they
 *   end, and a topic whose retention keeps the disk bounded. One line in 1,000 matches.
 * Method: real Kafka on the same machine; VmRSS each second, and VmHWM, which misses no peak.
 *   Exits 1 when the highest is not below the sum, or when no record came.
 *
 *   bash bench/native/build.sh && build/node bench/memory.ts [--seconds 600] [--bytes 1024]
 *        [--profile aggressive] [--codec none] [--backlog 1500000] [-- MORE FLAGS OF logpipe run]
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { planMemory } from '../src/cli/run-plan.ts'
import { resolve } from '../src/options/resolve.ts'
import { startKafka } from '../test/servers/kafka.ts'

const TOPIC = 'memory'
const PARTITIONS = 4
/** What the broker keeps of each partition, looked at every few seconds: a few GB on the disk. */
const RETENTION_BYTES = 512 * 1024 * 1024
const SEGMENT_BYTES = 64 * 1024 * 1024
const RETENTION_CHECK_MS = 5000
const SAMPLE_MS = 1000
const MIB = 1024 * 1024

const { values: options, positionals: more } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '600' },
    bytes: { type: 'string', default: '1024' },
    profile: { type: 'string', default: 'aggressive' },
    codec: { type: 'string', default: 'none' },
    backlog: { type: 'string', default: '1500000' },
  },
})

/** Bytes of one line of /proc/PID/status; 0 once the process has ended. */
function statusBytes(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
  } catch {
    return 0 // It has ended between two looks.
  }
}

/** One producer of so many records. Its seed differs, so that no two make the same lines. */
function produce(brokers: string, records: string, seed: number): ChildProcess {
  const shape = [records, options.bytes, '1000', options.codec, String(PARTITIONS), String(seed)]
  return spawn('build/bench/produce', [brokers, TOPIC, ...shape], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  const [status] = (await once(child, 'exit')) as [number | null]
  return status
}

/** Producers one after the other until the signal is aborted. */
async function keepProducing(brokers: string, signal: AbortSignal): Promise<void> {
  for (let seed = 2; !signal.aborted; seed++) {
    const producer = produce(brokers, options.backlog, seed)
    const stop = () => producer.kill()
    signal.addEventListener('abort', stop)
    const status = await ended(producer)
    signal.removeEventListener('abort', stop)
    if (status !== 0 && !signal.aborted)
      throw new Error(`the producer ended with ${String(status)}`)
  }
}

async function measure(brokers: string, folder: string): Promise<boolean> {
  const flags = ['--kafka-brokers', brokers, '--kafka-topic', TOPIC, '--kafka-group-id', 'memory']
  flags.push('--profile', options.profile, '--run-seconds', options.seconds, ...more)
  const sum = planMemory(resolve({ command: 'check', args: flags, env: {} }).config, 1)
  const metrics = path.join(folder, 'metrics.json')
  const args = ['run', ...flags, '--output', 'none', '--runtime-metrics-path', metrics]
  if ((await ended(produce(brokers, options.backlog, 1))) !== 0) throw new Error('no backlog')
  const done = new AbortController()
  const producing = keepProducing(brokers, done.signal)
  const program = spawn('bin/logpipe', [...args, '--log-format', 'json'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let last = ''
  program.stderr.on('data', (chunk: Buffer) => (last = (last + chunk.toString()).slice(-4096)))
  let rss = 0
  let peak = 0
  const sampler = setInterval(() => {
    rss = Math.max(rss, statusBytes(program.pid!, 'VmRSS'))
    peak = Math.max(peak, statusBytes(program.pid!, 'VmHWM'))
  }, SAMPLE_MS)
  const status = await Promise.race([ended(program), producing.then(() => null)])
  clearInterval(sampler)
  done.abort()
  program.kill()
  await producing
  for (const { name, bytes, formula } of sum.parts) {
    process.stdout.write(`${name.padEnd(10)} ${mib(bytes)}   ${formula}\n`)
  }
  process.stdout.write(`${'sum'.padEnd(10)} ${mib(sum.bytes)}\n`)
  process.stdout.write(`${'sampled'.padEnd(10)} ${mib(rss)}\n${'peak'.padEnd(10)} ${mib(peak)}\n`)
  process.stdout.write(`its last lines:\n${last.trim().split('\n').slice(-4).join('\n')}\n`)
  if (status !== 0) throw new Error(`logpipe ended with ${String(status)}`)
  return peak > 0 && peak < sum.bytes
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`.padStart(10)
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-memory-'))
const kafka = await startKafka({
  properties: [`log.retention.check.interval.ms=${RETENTION_CHECK_MS}`],
})
try {
  await kafka.createTopic(TOPIC, PARTITIONS, {
    'retention.bytes': String(RETENTION_BYTES),
    'segment.bytes': String(SEGMENT_BYTES),
    'file.delete.delay.ms': '1000',
  })
  const below = await measure(kafka.bootstrapServers, folder)
  process.stdout.write(below ? 'below the sum\n' : 'NOT below the sum\n')
  process.exitCode = below ? 0 : 1
} finally {
  await kafka.stop()
  rmSync(folder, { recursive: true, force: true })
}
