/** Records that nobody can read any more, told and counted once. */
import type { Books } from '../offsets/books.ts'
import type { RunReport } from '../pool/run-log.ts'
import type { OffsetRange } from '../core/topic-partition.ts'

export interface LossReport {
  readonly books: Books
  readonly warn: (message: string) => void
}

/** Offsets that expired before they were read. */
export function bookLoss(
  { books, warn }: LossReport,
  { topic, partition, from, to }: OffsetRange,
): void {
  books.of(topic, partition).lose('retention', from, to)
  const what = `${topic} [${partition}]: offsets ${from} to ${to - 1} expired unread`
  warn(`${what} (lost by retention; keep at least 3 days)`)
}

/** Offsets that Kafka has and cannot give. */
export function bookUnreadable(
  { books, warn }: LossReport,
  { topic, partition, from, to, reason }: OffsetRange & { readonly reason: string },
): void {
  books.of(topic, partition).lose('unreadable', from, to)
  const what = `${topic} [${partition}]: skipped offsets ${from} to ${to - 1}, which cannot be read`
  warn(`${what} (counted as lost): ${reason}`)
}

/** A gap that ends at the low watermark was not compaction: those records expired unread. */
export function bookGap(
  report: LossReport,
  { topic, partition }: Pick<OffsetRange, 'topic' | 'partition'>,
  run: RunReport,
): void {
  if (run.lowWatermark <= run.coverFrom) return
  const to = Math.min(run.lowWatermark, run.coverTo)
  bookLoss(report, { topic, partition, from: run.coverFrom, to })
}
