/**
 * A member of a consumer group: a place with a folder (its spill, its dead letters), in which
 * logpipe runs, is killed, stopped and started again. It keeps how each process ended, with its
 * books.
 */
import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import path from 'node:path'
import { Logpipe, type Ended } from '../helpers/logpipe.ts'
import { pause } from './pause.ts'

export type CommitOn = 'index' | 'spill'

/** What became of the records of a process, as its books say. */
export interface ProcessBooks {
  readonly balanced: boolean
  readonly total: Readonly<Record<string, unknown>>
  readonly partitions: readonly {
    readonly topic: string
    /** By reason. */
    readonly lost: Readonly<Record<string, { readonly count: number }>>
  }[]
}

export interface Ending {
  readonly member: string
  readonly how: 'killed' | 'in order' | 'by itself'
  readonly status: number | null
  /** Null when it had none to show. */
  readonly books: ProcessBooks | null
  readonly lastWords: string
}

export interface MemberSettings {
  readonly name: string
  readonly commitOn: CommitOn
  readonly folder: string
  readonly args: readonly string[]
  /** Everything that its processes say is added here. */
  readonly logFile: string
  readonly hooks: { after(close: () => void | Promise<void>): void }
}

/** The whole run: a process that nobody ended by then is killed. */
const RUN_MS_MAX = 90 * 60_000
/** One that ended by itself is started again, as a supervisor would. */
const RESTART_MS = 1000
/** Its own deadline for a shut-down is 8 s; the rest is for a machine that is busy. */
const ORDERLY_MS_MAX = 60_000

export class Member {
  readonly settings: MemberSettings
  readonly endings: Ending[] = []
  #process: Logpipe | null = null
  #expects: 'killed' | 'in order' | null = null
  #isRetired = false
  #hasRun = false

  constructor(settings: MemberSettings) {
    this.settings = settings
  }

  get name(): string {
    return this.settings.name
  }

  get isRunning(): boolean {
    return this.#process !== null && !this.#process.hasEnded
  }

  /** It was started at some time: its spill may hold something. */
  get hasRun(): boolean {
    return this.#hasRun
  }

  /** Of the process that runs; 0 when none does. */
  get pid(): number {
    return this.#process?.pid ?? 0
  }

  start(): void {
    if (this.isRunning || this.#isRetired) return
    this.#expects = null
    this.#hasRun = true
    const { hooks, folder, args } = this.settings
    const started = new Logpipe(hooks, args, { folder, runMsMax: RUN_MS_MAX })
    this.#process = started
    void started.ended.then((ended) => this.#onEnd(ended))
  }

  /** It is not started again. */
  retire(): void {
    this.#isRetired = true
  }

  /** SIGKILL, whether it runs or is stopped. */
  async kill(): Promise<void> {
    await this.#end('killed', 'SIGKILL')
  }

  /** SIGTERM; it must end in order by its own deadline. */
  async stopInOrder(): Promise<void> {
    const running = this.#process
    let isLate = false
    const late = setTimeout(() => {
      isLate = true
      running?.signal('SIGKILL')
    }, ORDERLY_MS_MAX)
    await this.#end('in order', 'SIGTERM')
    clearTimeout(late)
    assert.ok(!isLate, `${this.name} did not end in time`)
  }

  freeze(): void {
    this.#process?.signal('SIGSTOP')
  }

  thaw(): void {
    this.#process?.signal('SIGCONT')
  }

  /** A number of its metrics; 0 while there is none. */
  metric(name: string): number {
    return this.#process?.metric(name) ?? 0
  }

  async #end(how: 'killed' | 'in order', signal: NodeJS.Signals): Promise<void> {
    const ending = this.#process
    if (ending === null || ending.hasEnded) return
    this.#expects = how
    ending.signal(signal)
    await ending.ended
    // The promise's own handler notes the ending first; this one runs after it.
    await pause(0)
  }

  #onEnd({ status, stderr }: Ended): void {
    const how = this.#expects ?? 'by itself'
    appendFileSync(this.settings.logFile, `${stderr}\n--- ended ${how}, status ${status}\n`)
    // Before its handlers stand a SIGTERM ends it at once, with nothing read and no books.
    const isCutShort = how === 'in order' && status === null
    this.endings.push({
      member: this.name,
      how: isCutShort ? 'killed' : how,
      status,
      books: booksOf(stderr),
      lastWords: stderr.trimEnd().split('\n').slice(-3).join('\n').slice(-1000),
    })
    this.#process = null
    if (how === 'by itself') setTimeout(() => this.start(), RESTART_MS)
  }
}

/** The books among the lines that a process wrote as JSON. */
function booksOf(stderr: string): ProcessBooks | null {
  const line = stderr.split('\n').findLast((each) => each.includes('"books":'))
  if (line === undefined) return null
  return (JSON.parse(line) as { books: ProcessBooks }).books
}

/** The file that its dead letters go to, and those that it was renamed to. */
export function lettersFile(folder: string): string {
  return path.join(folder, 'letters.jsonl')
}
