/** What `--dlq` says: `file:PATH` or `topic:NAME`. */
import { LogpipeError } from '../../core/errors.ts'

export type LetterDestination =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'topic'; readonly topic: string }

/** @throws LogpipeError USAGE. */
export function parseDestination(text: string): LetterDestination {
  const separator = text.indexOf(':')
  const [kind, rest] = [text.slice(0, separator), text.slice(separator + 1)]
  if (kind === 'file' && rest !== '') return { kind, file: rest }
  // Kafka's rule for the names of topics.
  if (kind === 'topic' && /^[a-zA-Z0-9._-]{1,249}$/.test(rest) && !/^\.{1,2}$/.test(rest)) {
    return { kind, topic: rest }
  }
  throw new LogpipeError('USAGE', `--dlq: expected file:PATH or topic:NAME, got "${text}"`)
}
