/**
 * What the real servers of the tests have in common: the scripts of test/stack, a folder and ports
 * for each, and that nothing outlives the tests.
 *
 * A server's folder is TMP/logpipe-test-PID-NAME-..., PID being the process that started it. It is
 * removed, and what runs in it is killed,
 *   - by stop();
 *   - when this process exits, or is ended by a signal that it can hear (an 'exit' hook);
 *   - by the next process that starts a server, when this one died without a word (SIGKILL).
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export type ServerKind = 'kafka' | 'elasticsearch' | 'opensearch'

const STACK = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../stack')
const SCRIPTS: Readonly<Record<ServerKind, string>> = {
  kafka: path.join(STACK, 'kafka/kafka'),
  elasticsearch: path.join(STACK, 'es/es'),
  opensearch: path.join(STACK, 'es/opensearch'),
}
const FOLDER_PREFIX = 'logpipe-test-'
/** The first start fetches up to 200 MB through Maven; the scripts' own waits end well before. */
const SCRIPT_MS_MAX = 240_000
/** A topic read whole is the longest: some tens of thousands of records. */
const SCRIPT_BYTES_MAX = 128 * 1024 * 1024

/** Folders of the servers that this process started. */
const folders = new Set<string>()

/** Makes a folder for a server; on the first call, also sees to it that all of them go. */
export function makeFolder(name: string): string {
  if (folders.size === 0) {
    removeLeftovers()
    process.once('exit', () => folders.forEach(removeFolder))
    // By default a signal ends a process without 'exit'.
    for (const [signal, status] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
      if (process.listenerCount(signal) === 0) process.once(signal, () => process.exit(status))
    }
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), `${FOLDER_PREFIX}${process.pid}-${name}-`))
  folders.add(folder)
  return folder
}

/** Kills what runs in the folder, at once, and removes it. */
export function removeFolder(folder: string): void {
  assert.match(path.basename(folder), /^logpipe-test-\d+-/)
  // The pid file may be older than its process number's present owner: the command line must name
  // the folder, as each server's does.
  for (const file of globSync(['pid', '**/pid'], { cwd: folder })) {
    const pid = Number(readText(path.join(folder, file)))
    if (pid > 1 && readText(`/proc/${pid}/cmdline`).includes(folder)) killAndWait(pid)
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  folders.delete(folder)
}

/** Synchronous, since it also runs in the 'exit' hook: a JVM takes about 100 ms to be gone. */
function killAndWait(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    return // Gone already.
  }
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let turn = 0; turn < 200 && isAlive(pid); turn++) Atomics.wait(pause, 0, 0, 20)
}

/** Neither gone nor a zombie that only waits for its parent to ask. */
function isAlive(pid: number): boolean {
  return /^State:\s+[^ZX\s]/m.test(readText(`/proc/${pid}/status`))
}

function removeLeftovers(): void {
  for (const name of readdirSync(os.tmpdir())) {
    const owner = /^logpipe-test-(\d+)-/.exec(name)?.[1]
    if (owner === undefined || isAlive(Number(owner))) continue
    removeFolder(path.join(os.tmpdir(), name))
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // Not there, or gone in between: both mean "nothing".
  }
}

/** A server's log files within its folder. (Kafka's data is in files named *.log, too.) */
const LOGS: Readonly<Record<ServerKind, string>> = {
  kafka: 'cluster-*/broker-*/server.log',
  elasticsearch: 'logs/*.log',
  opensearch: 'logs/*.log',
}

/**
 * Runs a script of the stack.
 * @returns what it wrote to stdout
 * @throws Error with the end of its output, and where the server's logs were put: its folder goes.
 */
export async function runScript(
  kind: ServerKind,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  folder: string,
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('bash', [SCRIPTS[kind], ...args], {
      env: { ...process.env, ...env },
      timeout: SCRIPT_MS_MAX,
      maxBuffer: SCRIPT_BYTES_MAX,
      killSignal: 'SIGKILL',
    })
    return stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const output = `${stdout}${stderr}`.trim().split('\n').slice(-25).join('\n')
    const logs = keepLogs(kind, folder)
    throw new Error(`${kind} ${args.join(' ')} failed; its logs: ${logs}\n${output}`, {
      cause: error,
    })
  }
}

/** Copies a server's logs to test/output, which git ignores. @returns the folder there */
function keepLogs(kind: ServerKind, folder: string): string {
  const kept = path.resolve(STACK, '../output', path.basename(folder))
  for (const file of globSync(LOGS[kind], { cwd: folder })) {
    cpSync(path.join(folder, file), path.join(kept, file))
  }
  return kept
}

/**
 * Starts a server on free ports. Between looking and binding another process may take one, so
 * `start` is tried on others, twice, when its error says that a port is taken.
 * @param offsets the ports that the server takes, counted from the first
 */
export async function onFreePorts<T>(
  offsets: readonly number[],
  start: (port: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(offsets)
    try {
      return await start(port)
    } catch (error) {
      if (attempt === 3 || !/port \d+ is taken|BindException/.test(String(error))) throw error
    }
  }
}

/** Ports from 20000 to 32000: those from 32768 on are given to clients at any moment. */
async function freePort(offsets: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 11_800)
    const free = await Promise.all(offsets.map((offset) => isFree(port + offset)))
    if (free.every(Boolean)) return port
  }
  throw new Error('no free ports between 20000 and 32000')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * What keeps these servers from running here, in one line with the command that would bring it; or
 * null. Costs two starts of `java` at most.
 */
export function serversMissing(
  kinds: readonly ServerKind[] = ['kafka', 'elasticsearch'],
): string | null {
  if (process.platform !== 'linux') return 'the servers of test/stack run on Linux only'
  for (const program of ['mvn', 'java', 'curl', 'flock']) {
    if (whereIs(program) === null) return `${program} is missing: ${INSTALL}`
  }
  const homes = javaHomes()
  const major = Math.max(0, ...homes.map(javaMajor))
  const kafkaHome = process.env['JAVA_HOME'] ?? homes[0] ?? ''
  if (kinds.includes('kafka') && javaMajor(kafkaHome) < 17) {
    return `Kafka needs Java 17 or newer, ${kafkaHome} is older: ${INSTALL}`
  }
  const search = kinds.find((kind) => kind !== 'kafka')
  if (search !== undefined && major < 21) {
    return (
      `${search} needs a JDK of 21 or newer, the newest here is ${major}: ` +
      'apt-get install -y openjdk-21-jdk-headless, or unpack one and set ES_JAVA_HOME, OS_JAVA_HOME'
    )
  }
  return null
}

const INSTALL = 'apt-get install -y maven default-jdk-headless curl util-linux'

function whereIs(program: string): string | null {
  const found = (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => path.join(folder, program))
    .find((file) => existsSync(file))
  return found ?? null
}

/** Where the scripts look for Java, too: the one on the PATH, and those beside it. */
function javaHomes(): string[] {
  const onPath = spawnSync('readlink', ['-f', whereIs('java') ?? '/'], { encoding: 'utf8' })
  const home = path.resolve(onPath.stdout.trim(), '../..')
  const beside = readdirSync(path.dirname(home)).map((name) => path.join(path.dirname(home), name))
  const named = ['ES_JAVA_HOME', 'OS_JAVA_HOME', 'JAVA_HOME'].map((name) => process.env[name] ?? '')
  return [home, ...named, ...beside].filter((each) => existsSync(path.join(each, 'bin/java')))
}

/** From the file `release` of a Java home, which every vendor writes; 0 where there is none. */
function javaMajor(home: string): number {
  return Number(/^JAVA_VERSION="(\d+)/m.exec(readText(path.join(home, 'release')))?.[1] ?? 0)
}
