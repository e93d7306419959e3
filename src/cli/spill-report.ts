/** What `logpipe spill` prints for people. */
import { formatBytes } from '../core/units.ts'
import type { SourceRange, SpillDamage } from '../sink/spill/contract.ts'
import type { InspectedSegment, InspectedSpill } from '../sink/spill/inspect.ts'
import { counted, textTable } from './text-table.ts'

/** Whose it is, a row for each segment, and the offsets that each holds. */
export function describeSpill(found: InspectedSpill): string {
  const { segments, manifest, inUse } = found
  const facts = [
    `${found.directory}: ${summary(found)}${inUse ? ', in use by a running process' : ''}`,
    ...(manifest === null
      ? segments.length > 0
        ? ['manifest.json is missing or damaged: whose documents these are is not known']
        : []
      : [`pipeline "${manifest.pipeline}", target "${manifest.target}", ${modeOf(manifest)}`]),
  ]
  if (segments.length === 0) return `${facts.join('\n')}\n`
  const rows = segments.map((segment) => [
    segment.file,
    formatBytes(segment.bytes),
    String(segment.entryCount),
    String(segment.sentBelow),
    stateOf(segment),
    segment.ranges.map(rangeText).join(', '),
  ])
  const head = ['SEGMENT', 'SIZE', 'ENTRIES', 'SENT', 'STATE', 'OFFSETS']
  return `${facts.join('\n')}\n${textTable([head, ...rows])}`
}

/** Each damage with file, bytes and offsets; or that there is none. */
export function describeVerdict(found: InspectedSpill): string {
  const foreign = found.segments.filter((segment) => segment.foreignVersion !== null)
  const lines = [
    ...found.damage.map(describeDamage),
    ...foreign.map(
      ({ file, foreignVersion }) => `${file}: its format is of version ${foreignVersion}`,
    ),
  ]
  if (lines.length === 0) return `${found.directory}: ${summary(found)}, no damage\n`
  const what = `${counted(lines.length, 'thing is', 'things are')} wrong`
  return `${lines.join('\n')}\n${found.directory}: ${summary(found)}, ${what}\n`
}

export function describeDamage(damage: SpillDamage): string {
  const { file, bytesFrom, bytesTo, lostCount, ranges, unattributedCount, torn } = damage
  const parts = [
    `${file}: damaged, bytes ${bytesFrom} to ${bytesTo}`,
    ...(torn ? ['a write that a crash interrupted'] : []),
    counted(lostCount, 'document'),
    ...(ranges.length > 0 ? [`among ${ranges.map(rangeText).join(', ')}`] : []),
    ...(unattributedCount > 0 ? [`${unattributedCount} of them from offsets not known`] : []),
  ]
  return parts.join(', ')
}

function summary({ segments, entryCount, bytes }: InspectedSpill): string {
  const entries = counted(entryCount, 'document')
  return `${entries}, ${formatBytes(bytes)} in ${counted(segments.length, 'segment')}`
}

function modeOf({ commitOn }: { readonly commitOn: 'index' | 'spill' }): string {
  return commitOn === 'spill' ? 'offsets committed' : 'offsets not committed (a cache)'
}

function stateOf({ sealed, damage, foreignVersion }: InspectedSegment): string {
  if (foreignVersion !== null) return `version ${foreignVersion}`
  if (damage.some((one) => !one.torn)) return 'damaged'
  return sealed ? 'sealed' : 'open'
}

/** The last offset is included, as people count. */
function rangeText({ topic, partition, from, to, count }: SourceRange): string {
  return `${topic}-${partition} ${from}..${to - 1} (${count})`
}
