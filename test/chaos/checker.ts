/**
 * Compares what the source acknowledged with what arrived: documents by their `_id` and by the
 * offset they name, dead letters by topic, partition and offset.
 */
import { globSync, readFileSync } from 'node:fs'
import { PATTERN, type Offsets, type RecordKind } from './feed.ts'
import { lettersFile } from './member.ts'
import { untilDone } from './pause.ts'
import { indexName, REBORN, TORN, type Group, type World } from './world.ts'

/** Where a record came from, as a document or a dead letter says. */
export interface Origin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface FoundDocument extends Origin {
  readonly id: string
  /** 1 unless it was written again. */
  readonly version: number
}

export interface Findings {
  /** Records that had to be indexed, and letters that had to be written. */
  readonly expected: number
  readonly lettersExpected: number
  /** Each names its record. */
  readonly lost: readonly string[]
  /** The same record in two documents, or a document written twice. */
  readonly duplicated: readonly string[]
  /** Documents of records that do not match or were refused, or under an _id of another record. */
  readonly wrong: readonly string[]
  readonly lettersMissing: readonly string[]
  readonly lettersWrong: readonly string[]
  /** A letter may come again after a crash, as records are read again: counted, no fault. */
  readonly lettersAgain: number
  /** At offsets that the source was told nothing about. */
  readonly unvouched: number
}

export function compare(
  acknowledged: ReadonlyMap<string, Offsets>,
  documents: Iterable<FoundDocument>,
  letters: readonly Origin[],
): Findings {
  const kindOf = ({ topic, partition, offset }: Origin): RecordKind | undefined =>
    acknowledged.get(`${topic}/${partition}`)?.[offset]
  const seen = new Set<string>()
  const duplicated: string[] = []
  const wrong: string[] = []
  let unvouched = 0
  for (const document of documents) {
    const name = nameOf(document)
    if (seen.has(name) || document.version !== 1) duplicated.push(name)
    seen.add(name)
    const kind = kindOf(document)
    if (kind === undefined) unvouched++
    else if (kind !== 'match') wrong.push(`${name}: ${kind}`)
    if (!isIdOf(document)) wrong.push(`${name}: under ${document.id}`)
  }
  const told = new Set(letters.map(nameOf))
  const lettersWrong = letters
    .filter((letter) => !['poison', undefined].includes(kindOf(letter)))
    .map(nameOf)
  const missing = (wanted: RecordKind, found: ReadonlySet<string>) => {
    const names = namesOfKind(acknowledged, wanted)
    return { count: names.length, missing: names.filter((name) => !found.has(name)) }
  }
  const matches = missing('match', seen)
  const poison = missing('poison', told)
  return {
    expected: matches.count,
    lettersExpected: poison.count,
    lost: matches.missing,
    duplicated,
    wrong,
    lettersMissing: poison.missing,
    lettersWrong,
    lettersAgain: letters.length - told.size,
    unvouched,
  }
}

const nameOf = ({ topic, partition, offset }: Origin) => `${topic}/${partition}/${offset}`

/** topic-partition-offset, whatever stands before it. */
function isIdOf({ id, topic, partition, offset }: FoundDocument): boolean {
  const end = `${topic}-${partition}-${offset}`
  return id === end || id.endsWith(`-${end}`)
}

function namesOfKind(acknowledged: ReadonlyMap<string, Offsets>, wanted: RecordKind): string[] {
  return [...acknowledged].flatMap(([name, offsets]) =>
    offsets.flatMap((kind, offset) => (kind === wanted ? [`${name}/${offset}`] : [])),
  )
}

/** What the logs hold at the end, where that is not what was acknowledged. */
interface LastLogs {
  /** The `_id` of a document from a log of REBORN before the last begins with another. */
  readonly rebornPrefix: string
  /** The values of TORN, by offset. */
  readonly torn: readonly (string | undefined)[]
}

/** Asks Kafka; the records of TORN count from here on as they are in its log. */
async function readLastLogs({ kafka, feed, brokers }: World): Promise<LastLogs> {
  const rebornPrefix = (await kafka.topicId(REBORN)).slice(0, 8)
  const torn: (string | undefined)[] = []
  if (brokers === 3) {
    for (const { offset, value } of await kafka.readAll(TORN)) torn[offset] = value
    const kinds = torn.map((value) => (value?.startsWith(PATTERN) === true ? 'match' : 'filtered'))
    feed.acknowledged.set(`${TORN}/0`, kinds)
  }
  return { rebornPrefix, torn }
}

/** Looks at everything that each group has written. All members have ended. */
export async function checkGroups(world: World): Promise<Map<string, Findings>> {
  const logs = await readLastLogs(world)
  const findings = new Map<string, Findings>()
  for (const group of world.groups) {
    findings.set(group.name, await checkGroup(world, group, logs))
  }
  return findings
}

async function checkGroup(world: World, group: Group, logs: LastLogs): Promise<Findings> {
  const documents: FoundDocument[] = []
  for (const { name } of world.topics) {
    await readIndex(world, indexName(group.name, name), (found) => {
      if (isOfLastLog(found, logs)) documents.push(found)
    })
  }
  const folders = world.everyone
    .filter(({ settings }) => settings.commitOn === group.commitOn)
    .map(({ settings }) => settings.folder)
  return compare(world.feed.acknowledged, documents, folders.flatMap(readLetters))
}

/** A record that was cut off, or deleted with its topic, may have been indexed before: or not. */
function isOfLastLog({ topic, id, offset, message }: WholeDocument, logs: LastLogs): boolean {
  if (topic === REBORN) return id.startsWith(`${logs.rebornPrefix}-`)
  return topic !== TORN || message === logs.torn[offset]
}

interface WholeDocument extends FoundDocument {
  readonly message: string
}

interface SearchAnswer {
  readonly _scroll_id: string
  readonly hits: {
    readonly hits: readonly {
      readonly _id: string
      readonly _version: number
      readonly _source: { readonly message: string; readonly kafka: Origin }
    }[]
  }
}

const PAGE = 5000

async function readIndex(
  world: World,
  index: string,
  take: (found: WholeDocument) => void,
): Promise<void> {
  await untilDone(`a refresh of ${index}`, 60_000, async () => {
    await world.call('POST', `/${index}/_refresh`)
  })
  const query = {
    size: PAGE,
    version: true,
    _source: ['message', 'kafka.topic', 'kafka.partition', 'kafka.offset'],
    sort: ['_doc'],
  }
  let page = (await world.call('POST', `/${index}/_search?scroll=2m`, query)) as SearchAnswer
  while (page.hits.hits.length > 0) {
    for (const { _id: id, _version: version, _source: source } of page.hits.hits) {
      const { topic, partition, offset } = source.kafka
      take({ id, version, topic, partition, offset, message: source.message })
    }
    const next = { scroll: '2m', scroll_id: page._scroll_id }
    page = (await world.call('POST', '/_search/scroll', next)) as SearchAnswer
  }
}

/** The letters in a member's folder, in all files; a torn line is none. */
function readLetters(folder: string): Origin[] {
  const files = globSync([lettersFile(folder), `${lettersFile(folder)}.[0-9]*`])
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as Origin]
        } catch {
          return [] // Torn by a kill, and written again behind it.
        }
      }),
  )
}
