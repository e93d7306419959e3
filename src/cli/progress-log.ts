/** How far a command has come that sends documents, as lines of its log. */
import { counted } from '../core/text-table.ts'
import type { Log } from '../core/log.ts'

/** How far a command has come, on stderr, every few seconds. */
interface Progress {
  /** These were sent. */
  add(documentCount: number): void
  end(): void
}

const EVERY_MS = 5000

/** @param trouble what is wrong now, in one line, or null. */
export function progressLog(log: Log, trouble: () => string | null): Progress {
  let sentCount = 0
  const timer = setInterval(() => {
    const why = trouble()
    log.info(`${counted(sentCount, 'document')} sent${why === null ? '' : `; ${why}`}`)
  }, EVERY_MS)
  return {
    add: (documentCount) => {
      sentCount += documentCount
    },
    end: () => clearInterval(timer),
  }
}
