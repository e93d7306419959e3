/**
 * `logpipe try`: what a filter would keep of a topic, of a file or of standard input. Writes and
 * commits nothing.
 */
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { Literal } from '../core/expression/ast.ts'
import { describePlan, type Plan } from '../core/expression/plan.ts'
import { printable } from '../core/printable.ts'
import type { RuleList } from '../core/rules.ts'
import { counted, tableLines } from '../core/text-table.ts'
import { formatBytes, formatDuration } from '../core/units.ts'
import { consumerSettings } from '../kafka/consumer-settings.ts'
import type { Config } from '../options/config.ts'
import { filterPlan, refuseRegexes } from '../options/filter.ts'
import { isTopic, startAt } from '../options/notations.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import { describeRules } from '../options/rule-list.ts'
import { type FieldConflict, MappingConflicts } from '../run/mapping-conflicts.ts'
import { documentsBy, judgeOf } from '../run/rule-judge.ts'
import { documentEdits } from '../run/settings-from-config.ts'
import {
  type Example,
  Trial,
  type TrialResult,
  type TriedRecord,
  type TrySpan,
  tryTopics,
} from '../run/try.ts'
import { indexNameOf, parseIndexPattern } from '../sink/elasticsearch/index-name.ts'
import { type CommandContext, openLog } from './context.ts'
import { askMapping } from './probes.ts'

/** A line of a file that is longer is no log line. */
const LINE_BYTES_MAX = 100 * 1024 * 1024
const EXAMPLE_CHARS_MAX = 200
/** With --each: what a person looks through, and a browser shows. */
const EACH_MAX = 200
/** Of a record's value in JSON with --each, the widest that lets all fit into EACH_CHARS_MAX. */
const EACH_VALUE_CHARS = [600, 400, 300, 250, 200, 170, 140, 110, 80, 50, 25]
/** The control plane keeps 64 KiB of what a command printed. */
const EACH_CHARS_MAX = 52_000
/** A term may be a list of thousands of words. */
const EACH_REASON_CHARS_MAX = 200
const DAY_SECONDS = 86_400
const GIB = 2 ** 30
/** Reasons that are listed; the rest is one row. */
const REASONS_SHOWN_MAX = 20

export async function tryFilter(context: CommandContext): Promise<number> {
  const resolved = resolve({ command: 'try', args: context.args, env: context.env })
  const { config } = resolved
  const file = fileOf(resolved)
  const bridge = loadBridge(config.bridgeLib ?? undefined)
  refuseRegexes(config, bridge)
  const { rules } = config
  const judge = judgeOf(bridge, config)
  const log = openLog(config, context)
  const mappings = config.tryEach
    ? Mappings.none()
    : await Mappings.ask(resolved, (notice) => log.warn(notice))
  try {
    const documents = documentsBy(documentEdits(config))
    const shownMax = config.tryEach ? EACH_MAX : config.tryExamples
    const trial = new Trial(judge, documents, shownMax, (topic, value) =>
      mappings.add(topic, value),
    )
    const take = (record: TriedRecord) => trial.add(record)
    const signal = context.stopSignal()
    if (file !== null) await readLines(file, config.kafkaTopic[0] ?? '', signal, take)
    else {
      const kafka = {
        topics: config.kafkaTopic,
        tokenFile: config.kafkaTokenFile,
        properties: [consumerSettings(config, 0)],
      }
      const warn = (notice: string) => log.warn(notice)
      await tryTopics(kafka, spanOf(config), { bridge, clock: systemClock, signal, warn, take })
    }
    const report = {
      what: file === '-' ? 'standard input' : (file ?? config.kafkaTopic.join(', ')),
      ...(rules === null ? explainedPlan(filterPlan(config)) : explainedRules(rules)),
      conflicts: mappings.list(),
    }
    const result = trial.result()
    const each = config.tryEach ? inOrder(result).slice(-EACH_MAX) : null
    context.print(
      config.tryJson
        ? each === null
          ? `${JSON.stringify(reportJson(result, report))}\n`
          : eachJson(result, each)
        : describe(result, { ...report, each }, context.rows() !== null),
    )
    return signal.aborted ? 1 : 0
  } finally {
    judge.close()
  }
}

/** The file to read in place of topics; null: none. @throws LogpipeError USAGE */
function fileOf({ config, operands, sources }: Resolved): string | null {
  const [operand] = operands
  if (operand !== undefined && operand !== '-') {
    const hint = 'a file is --file FILE, an expression --keep EXPR'
    throw new LogpipeError('USAGE', `logpipe try: unexpected argument "${operand}"; ${hint}`)
  }
  const file = operand ?? config.tryFile
  if (file !== null && (sources.get('TRY_LAST')?.kind ?? 'default') !== 'default') {
    throw new LogpipeError('USAGE', '--last is for topics: of a file every line is looked at')
  }
  return file
}

function spanOf({ tryFrom, tryLast, tryEach }: Config): TrySpan {
  if (tryFrom !== null) return { from: startAt(tryFrom, Date.now()) }
  return { last: tryEach ? Math.min(tryLast, EACH_MAX) : tryLast }
}

async function readLines(
  file: string,
  topic: string,
  signal: AbortSignal,
  take: (record: TriedRecord) => void,
): Promise<void> {
  const input: Readable = file === '-' ? process.stdin : createReadStream(file)
  let offset = 0
  let rest: Buffer[] = []
  let restBytes = 0
  const takeLine = (value: Buffer) =>
    take({
      value: value.at(-1) === 0x0d ? value.subarray(0, -1) : value,
      key: null,
      headers: Buffer.alloc(0),
      topic,
      partition: 0,
      offset: offset++,
      timestampMs: -1,
    })
  try {
    for await (const chunk of input) {
      let bytes = chunk as Buffer
      for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a)) {
        takeLine(Buffer.concat([...rest, bytes.subarray(0, end)]))
        rest = []
        restBytes = 0
        bytes = bytes.subarray(end + 1)
      }
      rest.push(bytes)
      restBytes += bytes.length
      if (restBytes > LINE_BYTES_MAX) {
        throw new LogpipeError('USAGE', `${file}: a line is longer than ${LINE_BYTES_MAX} bytes`)
      }
      if (signal.aborted) return
    }
  } catch (cause) {
    if (cause instanceof LogpipeError) throw cause
    throw new LogpipeError('USAGE', `cannot read ${file}: ${messageOf(cause)}`, { cause })
  }
  if (restBytes > 0) takeLine(Buffer.concat(rest))
}

/** What the target index would refuse of kept records; asked where --es-url names a server. */
class Mappings {
  /** By topic, or one for all. */
  readonly #byTopic: ReadonlyMap<string, MappingConflicts>
  /** Null: nobody was asked. */
  readonly #from: string | null

  private constructor(byTopic: ReadonlyMap<string, MappingConflicts>, from: string | null) {
    this.#byTopic = byTopic
    this.#from = from
  }

  static none(): Mappings {
    return new Mappings(new Map(), null)
  }

  static async ask(
    { config, sources }: Resolved,
    warn: (notice: string) => void,
  ): Promise<Mappings> {
    if ((sources.get('ES_URL')?.kind ?? 'default') === 'default') return Mappings.none()
    const byTopic = new Map<string, MappingConflicts>()
    const pattern = parseIndexPattern(config.esIndex)
    const from: string[] = []
    for (const topic of pattern.byTopic ? config.kafkaTopic.filter(isTopic) : ['']) {
      const found = await askMapping(config, indexNameOf(pattern, topic, Date.now()))
      if ('problem' in found) warn(`no mapping to compare with: ${found.problem}`)
      else {
        byTopic.set(topic, new MappingConflicts(found.mapping))
        from.push(found.from)
      }
    }
    return new Mappings(byTopic, from.length === 0 ? null : from.join(', '))
  }

  add(topic: string, value: Buffer): void {
    const conflicts = this.#byTopic.get(topic) ?? this.#byTopic.get('')
    conflicts?.add(value.toString('utf8'))
  }

  list(): Report['conflicts'] {
    if (this.#from === null) return null
    return {
      from: this.#from,
      fields: [...this.#byTopic.values()].flatMap((one) => one.list()),
    }
  }
}

interface Report {
  readonly what: string
  /** Null: nothing, or what many rules need. */
  readonly searchedFor: readonly Literal[] | null
  /** The plan, for people. */
  readonly explained: string
  readonly conflicts: {
    readonly from: string
    readonly fields: readonly FieldConflict[]
  } | null
}

type Explained = Pick<Report, 'searchedFor' | 'explained'>

function explainedPlan(plan: Plan): Explained {
  const searchedFor = plan.program.prefilter?.literals ?? null
  return { searchedFor, explained: describePlan(plan) }
}

function explainedRules(rules: RuleList): Explained {
  return { searchedFor: null, explained: describeRules(rules) }
}

/** All that are shown, by time, and where that says nothing by their place. */
function inOrder({ keptExamples, droppedExamples }: TrialResult): Example[] {
  return [...keptExamples, ...droppedExamples].toSorted(
    (left, right) =>
      left.timestampMs - right.timestampMs ||
      left.partition - right.partition ||
      left.offset - right.offset,
  )
}

/** One record a line, and no line longer than a worker takes: it sends them to the dashboard. */
function eachJson(result: TrialResult, each: readonly Example[]): string {
  const { seen, kept, dropped, noJson } = result
  const reasons = result.reasons.map(({ reason, records }) => ({
    reason: cut(reason, EACH_REASON_CHARS_MAX),
    records,
  }))
  const of = new Map(result.reasons.map(({ reason }, index) => [reason, index]))
  const lineOf = ({ topic, partition, offset, timestampMs, value, reason }: Example, max: number) =>
    JSON.stringify({
      topic,
      partition,
      offset,
      time_ms: timestampMs < 0 ? null : timestampMs,
      // Its place among the reasons; null: it is kept.
      reason: reason === null ? null : (of.get(reason) ?? null),
      value: value === null ? null : cut(Buffer.from(value).toString('utf8'), max),
    })
  const sums = { records: seen.records, kept: kept.records, dropped: dropped.records }
  const head = JSON.stringify({ ...sums, no_json: noJson.seen }).slice(0, -1)
  const text = (max: number) =>
    `${head},"reasons":[\n${reasons.map((one) => JSON.stringify(one)).join(',\n')}\n],` +
    `"each":[\n${each.map((one) => lineOf(one, max)).join(',\n')}\n]}\n`
  for (const max of EACH_VALUE_CHARS) {
    const whole = text(max)
    if (whole.length <= EACH_CHARS_MAX) return whole
  }
  return text(0)
}

function cut(text: string, charsMax: number): string {
  return text.length > charsMax ? `${text.slice(0, charsMax)}...` : text
}

function reportJson(result: TrialResult, report: Report): object {
  const { what, conflicts } = report
  const { perSecond, noJson, rejectedUnread } = result
  const example = ({ topic, partition, offset, value, reason, rules }: Example) => ({
    topic,
    partition,
    offset,
    value: value === null ? null : Buffer.from(value).toString('utf8'),
    ...(reason === null ? {} : { reason }),
    ...(rules.length === 0 ? {} : { rules }),
  })
  return {
    source: what,
    records: result.seen.records,
    bytes: result.seen.bytes,
    partitions: result.partitions,
    from_ms: result.fromMs,
    to_ms: result.toMs,
    kept: result.kept,
    dropped: result.dropped,
    reasons: result.reasons,
    rejected_unread: rejectedUnread,
    no_json: noJson,
    per_second: perSecond,
    gib_a_day: perSecond === null ? null : gibADay(perSecond.bytes),
    searched_for: report.searchedFor,
    rules: result.rules,
    mapping: conflicts,
    kept_examples: result.keptExamples.map(example),
    dropped_examples: result.droppedExamples.map(example),
  }
}

function gibADay(bytesPerSecond: number): number {
  return (bytesPerSecond * DAY_SECONDS) / GIB
}

function describe(
  result: TrialResult,
  report: Report & { readonly each: readonly Example[] | null },
  isTerminal: boolean,
): string {
  const { seen, kept, dropped } = result
  const shown = (text: string) => (isTerminal ? printable(text) : text)
  const head = `${report.what}: ${counted(seen.records, 'record')}, ${formatBytes(seen.bytes)}`
  const lines = [`${head}${spanText(result)}`, '']
  if (seen.records === 0) {
    return `${lines[0]}\nNothing is there: --from reaches further back, --topic elsewhere.\n`
  }
  const rows = [
    ['kept', String(kept.records), share(kept.records, seen.records), rateText(result)],
    ...ruleRows(result),
    ['dropped', String(dropped.records), share(dropped.records, seen.records), ''],
    ...reasonRows(result),
  ]
  if (result.rejectedUnread !== null) {
    const unread = share(result.rejectedUnread, seen.records)
    rows.push(['rejected by the search', String(result.rejectedUnread), unread, 'never looked at'])
  }
  const { noJson } = result
  const noJsonKept = noJson.kept === 0 ? '' : `${noJson.kept} of them kept`
  rows.push(['no JSON object', String(noJson.seen), share(noJson.seen, seen.records), noJsonKept])
  const table = tableLines(
    rows.map((row) => row.map(shown)),
    (column) => column === 1 || column === 2,
  )
  lines.push(...table.map((line) => line.trimEnd()))
  if (result.rejectedUnread === null) lines.push('', report.explained.trimEnd())
  lines.push(...conflictLines(report.conflicts))
  if (report.each === null) {
    lines.push(...exampleLines('kept, the latest:', result.keptExamples))
    lines.push(...exampleLines('dropped, the latest:', result.droppedExamples))
  } else lines.push(...exampleLines('the latest, and why they are dropped:', report.each))
  return lines.map((line) => `${line}\n`).join('')
}

function spanText({ fromMs, toMs, partitions }: TrialResult): string {
  const where = partitions > 1 ? ` of ${partitions} partitions` : ''
  if (fromMs === null || toMs === null) return where
  const from = new Date(fromMs).toISOString()
  return `${where}, ${from} to ${new Date(toMs).toISOString()}`
}

function rateText({ perSecond, fromMs, toMs }: TrialResult): string {
  if (perSecond === null || fromMs === null || toMs === null) return 'no timestamps to tell a rate'
  const records = perSecond.records.toPrecision(3)
  const rate = `${Number(records)} records/s, ${formatBytes(perSecond.bytes)}/s`
  const day = `${gibADay(perSecond.bytes).toPrecision(3)} GiB a day`
  return `${rate}, ${day} by ${formatDuration(toMs - fromMs)} of timestamps`
}

function reasonRows({ reasons, seen }: TrialResult): string[][] {
  const shown = reasons.slice(0, REASONS_SHOWN_MAX)
  const rest = reasons.slice(REASONS_SHOWN_MAX).reduce((sum, { records }) => sum + records, 0)
  const all = rest === 0 ? shown : [...shown, { reason: 'other terms', records: rest }]
  return all.map(({ reason, records }) => [
    `  ${reason}`,
    String(records),
    share(records, seen.records),
    '',
  ])
}

/** Documents by rule, below what is kept. */
function ruleRows({ rules, seen }: TrialResult): string[][] {
  const shown = rules.slice(0, REASONS_SHOWN_MAX)
  const rest = rules.slice(REASONS_SHOWN_MAX).reduce((sum, { documents }) => sum + documents, 0)
  const all = rest === 0 ? shown : [...shown, { rule: 'other rules', documents: rest }]
  return all.map(({ rule, documents }) => [
    `  ${rule}`,
    String(documents),
    share(documents, seen.records),
    '',
  ])
}

function conflictLines(conflicts: Report['conflicts']): string[] {
  if (conflicts === null) return []
  const { from, fields } = conflicts
  if (fields.length === 0) return ['', `no field of what is kept conflicts with ${from}`]
  const rows = fields.map(({ field, mapped, records, example }) =>
    [`  ${field}`, mapped, counted(records, 'record'), example].map(printable),
  )
  return ['', `${from} would refuse:`, ...tableLines(rows, () => false)]
}

function exampleLines(head: string, examples: readonly Example[]): string[] {
  if (examples.length === 0) return []
  const lines = examples.map(({ topic, partition, offset, value, reason, rules }) => {
    const text = value === null ? 'null' : Buffer.from(value).toString('utf8')
    const said = reason ?? rules.join(', ')
    const why = said === '' ? '' : `  [${said}]`
    return printable(`  ${topic}-${partition}-${offset}  ${cut(text, EXAMPLE_CHARS_MAX)}${why}`)
  })
  return ['', head, ...lines]
}

function share(part: number, whole: number): string {
  return `${((part / whole) * 100).toFixed(2)} %`
}
