/**
 * `logpipe dlq replay`: sends dead letters through the pipeline's own output, as they were sent the
 * first time.
 */
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
import { printable } from './text-table.ts'

/** Reasons that are told; the rest is counted. */
const REASONS_TOLD_MAX = 10
const LINE_END = 0x0a

/**
 * @throws LogpipeError as DocumentSender.send, or LOCKED; what was taken has left the files all the
 * same.
 */
export async function replayLetters(
  box: LetterBox,
  filter: LetterFilter,
  config: Config,
  context: CommandContext,
): Promise<ReplayResult> {
  const log = openLog(config, context)
  const signal = context.stopSignal()
  let toldCount = 0
  const refused = (letter: Parameters<typeof letterId>[0], reason: string): void => {
    if (toldCount++ < REASONS_TOLD_MAX) log.warn(printable(`${letterId(letter)}: ${reason}`))
  }
  const sender = new DocumentSender(elasticsearchSettings(config), {
    // What is refused again is where it belongs already.
    deadLetters: {
      put: (letters) => {
        for (const letter of letters) refused(letter, `refused again: ${letter.reason}`)
        return Promise.resolve()
      },
    },
    signal,
    graceMs: config.shutdownDeadlineMs,
  })
  const progress = progressLog(log, () => sender.trouble)
  const send = async (letters: readonly StoredLetter[]): Promise<readonly ReplayOutcome[]> => {
    const sendable = letters.filter(isSendable)
    for (const letter of letters) {
      if (!isSendable(letter)) refused(letter, 'its payload is not an action and a document')
    }
    const sent = await sender.send(
      sendable.map(({ payload: document, ...letter }) => ({ ...letter, document })),
    )
    progress.add(sendable.length)
    const outcomes = new Map(sendable.map((letter, index) => [letter, sent[index]]))
    return letters.map((letter) => {
      const outcome = outcomes.get(letter)
      return outcome === undefined || outcome === 'dead_lettered' ? 'failed' : 'done'
    })
  }
  try {
    return await box.replay(filter, send, signal)
  } finally {
    progress.end()
    await sender.close()
  }
}

/** Two lines, as they were stored: a file edited by hand must not break a whole request. */
function isSendable({ payload }: StoredLetter): boolean {
  const first = payload.indexOf(LINE_END)
  const end = payload.indexOf(LINE_END, first + 1)
  if (first === -1 || end !== payload.length - 1) return false
  return /^\{"(create|index)":\{"_index":"[^"]/.test(
    Buffer.from(payload.subarray(0, first)).toString('latin1'),
  )
}
