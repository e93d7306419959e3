/**
 * The log: events, and two status lines a second, on a terminal below one in words.
 *
 * Everything goes to stderr, because stdout belongs to the output. On a terminal, the status lines
 * are refreshed in place and events are printed above them; elsewhere each is a separate line, so
 * that a file or a journal has them all. With format `json`, each is one object per line (pino).
 *
 * Events contain text from servers and records. In the plain format each event is one line of
 * printable text, so that such text can neither forge an event nor control the terminal. Secrets
 * are removed from everything, whoever quotes them.
 */
import pino from 'pino'
import { printable } from './printable.ts'

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFields = Readonly<Record<string, unknown>>

/** Leaves secrets out of a text. */
export type Redact = (text: string) => string

export interface LogOptions {
  readonly format: 'plain' | 'json'
  readonly level: LogLevel
  /** Nothing but warnings and errors, and no status lines: for cron. */
  readonly quiet: boolean
  /** No status lines, everything else as usual: for processes watched by other means. */
  readonly hidesStatus?: boolean
  /** Refresh the status lines in place. */
  readonly isTerminal: boolean
  /** Columns to cut status lines at, on a terminal. */
  readonly columns: () => number
  readonly write: (text: string) => void
  readonly redact?: Redact
}

const ERASE_LINE = '\u001B[2K'
const UP_ONE_LINE = '\u001B[1A'

export class Log {
  readonly #options: LogOptions
  readonly #json: pino.Logger | null
  #leastLevel: number
  /** Lines of the status: they stand on the terminal now, or will again after show(). */
  #statusLines: readonly string[] = []
  #isHidden = false
  /** Current and former secrets: answers to requests with either may still arrive. */
  #redactors: readonly Redact[]

  constructor(given: LogOptions) {
    const options = { ...given, write: (text: string) => given.write(this.redact(text)) }
    this.#options = options
    this.#redactors = given.redact === undefined ? [] : [given.redact]
    const level = options.quiet ? 'warn' : options.level
    this.#leastLevel = LOG_LEVELS.indexOf(level)
    const destination = { write: (line: string) => options.write(line) }
    const settings = {
      base: null,
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
    }
    this.#json = options.format === 'json' ? pino(settings, destination) : null
  }

  /** Removes secrets from text that is shown elsewhere, as on /ready. */
  readonly redact: Redact = (text) =>
    this.#redactors.reduce((rest, redactor) => redactor(rest), text)

  /** From here on the secrets are others. */
  setRedact(redactor: Redact): void {
    this.#redactors = [...this.#redactors.slice(-1), redactor]
  }

  /** From here on; quiet stays quiet. */
  setLevel(wanted: LogLevel): void {
    const level = this.#options.quiet ? 'warn' : wanted
    this.#leastLevel = LOG_LEVELS.indexOf(level)
    if (this.#json !== null) this.#json.level = level
  }

  error(message: string, fields?: LogFields): void {
    this.#say('error', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#say('warn', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#say('info', message, fields)
  }

  debug(message: string, fields?: LogFields): void {
    this.#say('debug', message, fields)
  }

  /**
   * The state of this second: lines for people, fields for machines.
   * @param headline stands above them, on a terminal only: elsewhere programs read the lines.
   */
  status(lines: readonly string[], fields: LogFields, headline: string | null = null): void {
    const { quiet, hidesStatus = false, isTerminal, columns, write } = this.#options
    if (quiet || hidesStatus) return
    if (this.#json !== null) {
      this.#json.info(fields, 'status')
      return
    }
    if (!isTerminal) {
      write(textOf(lines))
      return
    }
    const all = headline === null ? lines : [headline, ...lines]
    const cut = all.map((line) => printable(line).slice(0, columns() - 1))
    const erase = this.#eraseStatus()
    this.#statusLines = cut
    write(erase + this.#statusText())
  }

  /**
   * Takes the status off the terminal while somebody else writes to it (the matches, on stdout):
   * to refresh it in place would otherwise erase what was written below it. show() puts it back.
   */
  hide(): void {
    const erase = this.#eraseStatus()
    this.#isHidden = true
    if (erase !== '') this.#options.write(erase)
  }

  /** The last status stays as it stands: what follows is written below it. */
  settle(): void {
    this.#statusLines = []
  }

  show(): void {
    this.#isHidden = false
    const text = this.#statusText()
    if (text !== '') this.#options.write(text)
  }

  /** Lines for people alone, for example the books: machines get them as fields of an event. */
  lines(lines: readonly string[]): void {
    if (this.#options.quiet || this.#json !== null) return
    this.settle()
    this.#options.write(textOf(lines))
  }

  #say(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(level) > this.#leastLevel) return
    if (this.#json !== null) {
      this.#json[level](fields, message)
      return
    }
    const label = level === 'info' ? '' : `${level}: `
    const line = `logpipe: ${label}${printable(message)}\n`
    this.#options.write(this.#eraseStatus() + line + this.#statusText())
  }

  get #shown(): readonly string[] {
    return this.#isHidden ? [] : this.#statusLines
  }

  #statusText(): string {
    return textOf(this.#shown)
  }

  /** Moves up over the status lines and clears them. */
  #eraseStatus(): string {
    return this.#shown.map(() => `${UP_ONE_LINE}${ERASE_LINE}`).join('')
  }
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${printable(line)}\n`).join('')
}
