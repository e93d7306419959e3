/** What a chaos run says at its end, and whether all is well. */
import type { Findings } from './checker.ts'
import type { Ending, ProcessBooks } from './member.ts'
import { KIND_NAMES, type Kind } from './schedule.ts'
import { REBORN, TORN } from './world.ts'

export interface Outcome {
  readonly seed: number
  readonly minutes: number
  readonly brokers: number
  readonly hasDisks: boolean
  readonly planned: number
  /** Faults that hit something, and those that found nothing to hit. */
  readonly injected: ReadonlyMap<Kind, number>
  readonly missed: ReadonlyMap<Kind, number>
  /** Faults that could not be carried out, with why: no fault of logpipe. */
  readonly failures: readonly string[]
  readonly acknowledged: number
  readonly refused: number
  /** Acknowledged by a log that was deleted since: nothing is asked of those. */
  readonly gone: number
  readonly groups: ReadonlyMap<string, Findings>
  readonly endings: readonly Ending[]
  /** Null when everything was delivered and committed by the end. */
  readonly undelivered: string | null
}

/** What is wrong with a run, one line each; empty: nothing. */
export function faultsOf(outcome: Outcome): string[] {
  const faults: string[] = []
  if (outcome.undelivered !== null) faults.push(outcome.undelivered)
  for (const [group, findings] of outcome.groups) {
    for (const key of ['lost', 'duplicated', 'wrong', 'lettersMissing', 'lettersWrong'] as const) {
      const found = findings[key]
      if (found.length > 0) faults.push(`${group}: ${found.length} ${key}: ${some(found)}`)
    }
  }
  for (const ending of outcome.endings) {
    const fault = faultOfEnding(ending)
    if (fault !== null) faults.push(`${ending.member}, status ${ending.status}: ${fault}`)
  }
  return faults
}

/** What a start says while brokers, its topic or room on its disk are away; it is started again. */
const NOT_YET = /no broker answered|ENOSPC|topic reborn does not exist/

/** What a member says that was fenced by its twin; its supervisor starts it again. */
const FENCED = /instance.id|fenced/i

/**
 * What was spilled of a log that is gone, and damaged there, is lost, and said to be. Whether
 * anything is missing of the logs that are there, the checker says.
 */
function isOfGoneLogs({ partitions }: ProcessBooks): boolean {
  const losses = partitions.flatMap(({ topic, lost }) =>
    Object.entries(lost).flatMap(([reason, { count }]) => (count > 0 ? [{ topic, reason }] : [])),
  )
  const isOfGone = (topic: string) => topic === REBORN || topic === TORN
  return losses.length > 0 && losses.every((one) => one.reason === 'spill' && isOfGone(one.topic))
}

/** Ending in order with something pending is status 1, and no fault while servers are away. */
function faultOfEnding({ how, status, books, lastWords }: Ending): string | null {
  if (how === 'killed' || NOT_YET.test(lastWords)) return null
  // Also where it was told to end in that very moment.
  if (status === 1 && FENCED.test(lastWords)) return null
  if (how === 'by itself') return `it ended by itself:\n${lastWords}`
  if (books === null) return `no books:\n${lastWords}`
  if (!books.balanced) return `its books do not balance: ${JSON.stringify(books)}`
  return status === 0 || status === 1 || (status === 3 && isOfGoneLogs(books))
    ? null
    : `it said:\n${lastWords}`
}

const NAMES_SHOWN = 10

function some(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(', ')
  return names.length > NAMES_SHOWN ? `${shown} ...` : shown
}

export function render(outcome: Outcome): string[] {
  const { seed, minutes, brokers, injected, missed, groups } = outcome
  const sum = [...injected.values()].reduce((left, right) => left + right, 0)
  const faults = faultsOf(outcome)
  const brokersText = brokers === 1 ? 'one broker' : `${brokers} brokers`
  return [
    `chaos: seed ${seed}, ${sum} of ${outcome.planned} faults in ${minutes.toFixed(1)} min, ` +
      `${brokersText}, spills ${outcome.hasDisks ? 'on disks that fill' : 'bounded only'}`,
    ...KIND_NAMES.map((kind) => {
      const idle = missed.get(kind) ?? 0
      const note = idle === 0 ? '' : `  (${idle} more hit nothing)`
      return `  ${kind.padEnd(26)} ${String(injected.get(kind) ?? 0).padStart(4)}${note}`
    }),
    `source: ${outcome.acknowledged} acknowledged, ${outcome.refused} refused, ` +
      `${outcome.gone} deleted with their topic`,
    ...[...groups].map(([name, findings]) => groupLine(name, findings)),
    ...bookLines(outcome.endings),
    ...outcome.failures.map((failure) => `not carried out: ${failure}`),
    ...faults.map((fault) => `FAULT ${fault}`),
    faults.length === 0 ? 'all is well' : `${faults.length} faults of logpipe`,
  ]
}

function groupLine(name: string, findings: Findings): string {
  const { expected, lost, duplicated, wrong, lettersExpected, unvouched } = findings
  return (
    `${name}: ${expected} expected, ${lost.length} lost, ${duplicated.length} duplicated, ` +
    `${wrong.length} wrong, ${unvouched} unvouched; dead letters ${lettersExpected} expected, ` +
    `${findings.lettersMissing.length} missing, ${findings.lettersWrong.length} wrong, ` +
    `${findings.lettersAgain} again`
  )
}

function bookLines(endings: readonly Ending[]): string[] {
  const count = (how: Ending['how']) => endings.filter((ending) => ending.how === how).length
  const inOrder = endings.filter((ending) => ending.how === 'in order')
  // A start that finds no broker ends without books, as faultOfEnding has it.
  const withBooks = inOrder.filter((ending) => ending.books !== null)
  const balanced = withBooks.filter((ending) => ending.books?.balanced === true).length
  const total = new Map<string, number>()
  for (const { books } of inOrder) {
    for (const [entry, value] of flatEntries(books?.total ?? {})) {
      total.set(entry, (total.get(entry) ?? 0) + value)
    }
  }
  const entries = [...total].filter(([, value]) => value > 0)
  return [
    `processes: ${count('killed')} killed, ${inOrder.length} ended in order, ` +
      `${count('by itself')} ended by themselves`,
    `books: ${balanced} of ${withBooks.length} balance: ` +
      entries.map(([entry, value]) => `${entry} ${value}`).join(', '),
  ]
}

/** Entries with reasons, as filtered: {pattern: 1}, become filtered.pattern. */
function flatEntries(total: Readonly<Record<string, unknown>>): [string, number][] {
  return Object.entries(total).flatMap(([name, value]): [string, number][] => {
    if (typeof value === 'number') return [[name, value]]
    return Object.entries(Object(value) as object).map(([reason, count]) => [
      `${name}.${reason}`,
      typeof count === 'number' ? count : ((count as { count?: number }).count ?? 0),
    ])
  })
}
