/**
 * `logpipe dlq replay`: sends dead letters through the pipeline's own output, as they were sent the
 * first time.
 */
import { formatBytes } from '../core/units.ts'
import type { Config } from '../options/config.ts'
import { elasticsearchSettings } from '../run/settings-from-config.ts'
import type { LetterBox, ReplayOutcome, ReplayResult } from '../sink/dead-letters/letter-box.ts'
import type { StoredLetter } from '../sink/dead-letters/letter-line.ts'
import type { LetterFilter } from '../sink/dead-letters/where.ts'
import { DocumentSender } from '../sink/elasticsearch/document-sender.ts'
import type { CommandContext } from './context.ts'
import { letterId } from './dlq-report.ts'
import { progressLog } from './progress-log.ts'
import { openLog } from './run-log.ts'
import { printable } from '../core/printable.ts'

/** Reasons that are told; the rest is counted. */
const REASONS_TOLD_MAX = 10
const LINE_END = 0x0a

/** What came of a replay, and why it ended early; null: it did not. */
export interface Replayed extends ReplayResult {
  readonly failure: Error | null
}

/** @throws LogpipeError LOCKED or DEAD_LETTERS. */
export async function replayLetters(
  box: LetterBox,
  filter: LetterFilter,
  config: Config,
  context: CommandContext,
): Promise<Replayed> {
  const log = openLog(config, context)
  const stop = new AbortController()
  const signal = AbortSignal.any([context.stopSignal(), stop.signal])
  let toldCount = 0
  const tell = (letter: Parameters<typeof letterId>[0], reason: string): void => {
    if (toldCount++ < REASONS_TOLD_MAX) log.warn(printable(`${letterId(letter)}: ${reason}`))
  }
  const sender = new DocumentSender(elasticsearchSettings(config), {
    // What is refused again is where it belongs already.
    deadLetters: {
      put: (letters) => {
        for (const letter of letters) tell(letter, `refused again: ${letter.reason}`)
        return Promise.resolve()
      },
    },
    signal: context.stopSignal(),
    graceMs: config.shutdownDeadlineMs,
  })
  const progress = progressLog(log, () => sender.trouble)
  const send = async (letters: readonly StoredLetter[]): Promise<readonly ReplayOutcome[]> => {
    const reasons = letters.map(whyNotSendable)
    const sendable = letters.filter((_, index) => reasons[index] === null)
    const sent = await sender.send(
      sendable.map(({ payload: document, ...letter }) => ({ ...letter, document })),
    )
    progress.add(sent.filter((outcome) => outcome !== undefined).length)
    if (sender.failure !== null) stop.abort()
    let next = 0
    return letters.map((letter, index) => {
      const reason = reasons[index] ?? null
      if (reason !== null) {
        tell(letter, reason)
        return 'failed'
      }
      const outcome = sent[next++]
      if (outcome !== undefined) return outcome === 'dead_lettered' ? 'failed' : 'done'
      const why = sender.whyWaiting(letter.index) ?? sender.failure?.message ?? 'no answer'
      tell(letter, `not taken: the index ${letter.index} waits: ${why}`)
      return 'waiting'
    })
  }
  try {
    const result = await box.replay(filter, send, signal)
    return { ...result, failure: sender.failure }
  } finally {
    progress.end()
    await sender.close()
  }
}

/** Two lines, as they were stored: a file edited by hand must not break a whole request. */
function whyNotSendable({ payload, payloadBytes, topic, offset }: StoredLetter): string | null {
  if (payloadBytes !== undefined) {
    const size = formatBytes(payloadBytes)
    return `its payload of ${size} was not stored; read offset ${offset} of ${topic} from Kafka`
  }
  const first = payload.indexOf(LINE_END)
  const end = payload.indexOf(LINE_END, first + 1)
  const action = Buffer.from(payload.subarray(0, Math.max(first, 0))).toString('latin1')
  const isWhole = end === payload.length - 1 && first !== -1
  if (isWhole && /^\{"(create|index)":\{"_index":"[^"]/.test(action)) return null
  return 'its payload is not an action and a document'
}
