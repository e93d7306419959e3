/**
 * The program in a process of its own, in a folder of its own.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { ARGUMENTS, COMMAND } from './program-command.ts'

/** Only a bug keeps a run that long: the shut-down has a deadline of 25 s. */
const RUN_MS_MAX = 120_000
const LOOK_EVERY_MS = 50
const LINES_SHOWN = 30

interface Hooks {
  after(close: () => void | Promise<void>): void
}

export interface Ended {
  /** Null after a signal. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface LogpipeOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Where relative paths lead; a new folder when it is left out. */
  readonly folder?: string
  /** False: its stdout is a pipe that nobody reads. */
  readonly readStdout?: boolean
  /** When it is killed, should nobody have ended it. */
  readonly runMsMax?: number
}

/** A folder that goes with the test. */
export function testFolder(t: Hooks): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-e2e-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** Options as arguments. */
export function flags(options: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
}

export class Logpipe {
  readonly folder: string
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  readonly #stdout: Buffer[] = []
  #stderr = ''
  #hasEnded = false

  constructor(t: Hooks, args: readonly string[], options: LogpipeOptions = {}) {
    this.folder = options.folder ?? testFolder(t)
    this.#child = spawn(COMMAND, [...ARGUMENTS, ...args], {
      cwd: this.folder,
      // Nothing of the machine that runs the tests may set an option.
      env: {
        PATH: process.env['PATH'] ?? '',
        // Named: what only prints makes no folder of itself.
        RUNTIME_METRICS_PATH: 'data/runtime_metrics.json',
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const deadline = setTimeout(() => this.signal('SIGKILL'), options.runMsMax ?? RUN_MS_MAX)
    t.after(async () => {
      this.signal('SIGKILL')
      await this.ended
    })
    if (options.readStdout !== false) {
      this.#child.stdout?.on('data', (bytes: Buffer) => this.#stdout.push(bytes))
    }
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', () => {
        // What nobody reads would keep 'close' from coming.
        if (options.readStdout === false) this.closeStdout()
      })
      this.#child.once('close', (status, signal) => {
        clearTimeout(deadline)
        this.#hasEnded = true
        resolve({ status, signal, stdout: Buffer.concat(this.#stdout), stderr: this.#stderr })
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get stderr(): string {
    return this.#stderr
  }

  get stdoutBytes(): number {
    return this.#stdout.reduce((sum, bytes) => sum + bytes.length, 0)
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#hasEnded) this.#child.kill(name)
  }

  /** The reader of the output comes late (readStdout false). */
  openStdout(): void {
    this.#child.stdout?.on('data', (bytes: Buffer) => this.#stdout.push(bytes))
  }

  /** All it wrote to stdout by now. */
  get stdout(): Buffer {
    return Buffer.concat(this.#stdout)
  }

  /** The reader of the output goes away. */
  closeStdout(): void {
    this.#child.stdout?.destroy()
  }

  /** The metrics snapshot's number of this name; 0 while there is none. */
  metric(name: string, file = 'data/runtime_metrics.json'): number {
    try {
      const snapshot: unknown = JSON.parse(readFileSync(path.join(this.folder, file), 'utf8'))
      return Number(Object(snapshot)[name] ?? 0)
    } catch {
      return 0 // Not written yet.
    }
  }

  /** Waits until it holds. @throws when the program ended before, or after a minute. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const endMs = performance.now() + RUN_MS_MAX / 2
    while (!holds()) {
      assert.ok(!this.#hasEnded, `it ended before ${what}:\n${this.#end()}`)
      assert.ok(performance.now() < endMs, `not in time: ${what}\n${this.#end()}`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
  }

  /** What it said last; two lines a second would bury the report of a test. */
  #end(): string {
    return this.#stderr.split('\n').slice(-LINES_SHOWN).join('\n')
  }

  /** Asks it to end in order, and checks that it did so with balanced books. */
  async stop(): Promise<Ended> {
    this.signal('SIGTERM')
    const ended = await this.ended
    assert.equal(ended.status, 0, ended.stderr)
    assert.match(ended.stderr, /^books balance$/m)
    return ended
  }
}
