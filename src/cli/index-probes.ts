/**
 * Whether documents would be taken by the index that they go to: rights of the user, and blocks.
 *
 * Asked by reading alone. What a server does not tell (no security, OpenSearch, no rights to look)
 * is no finding: the first documents tell.
 */
import type { TargetKind } from '../sink/elasticsearch/targets.ts'

/** One thing that was looked at. */
export interface Probe {
  readonly subject: string
  readonly state: 'fine' | 'note' | 'warning' | 'wrong' | 'untested'
  readonly detail: string
}

export interface Answer {
  readonly status: number
  readonly body: string
  /** Where a redirect points to, or an empty string. */
  readonly location: string
}

/** Asks a node. */
export type AskNode = (method: 'GET' | 'POST', path: string) => Promise<Answer>

interface IndexQuestion {
  readonly name: string
  readonly kind: TargetKind
  /** The user, as messages name it. */
  readonly who: string
  /** --document-id key overwrites documents. */
  readonly overwrites: boolean
}

/** @returns what is wrong; none: nothing is known to be. */
export async function probeWrites(ask: AskNode, index: IndexQuestion): Promise<readonly Probe[]> {
  const findings = await Promise.all([
    privilegeFault(ask, index),
    index.kind === 'none' || index.kind === 'unknown' ? null : blockFault(ask, index.name),
    clusterFault(ask),
  ])
  const subject = `index ${index.name}`
  return findings
    .filter((detail) => detail !== null)
    .map((detail) => ({ subject, state: 'wrong', detail }))
}

/**
 * By Elasticsearch's own question (_has_privileges), which every user may ask of itself. It has no
 * body, so that it passes wherever reading does.
 */
async function privilegeFault(
  ask: AskNode,
  { name, kind, who, overwrites }: IndexQuestion,
): Promise<string | null> {
  const write = overwrites ? 'index' : 'create_doc'
  const make = kind === 'none' ? ['auto_configure', 'create_index'] : []
  const question = { index: [{ names: [name], privileges: [write, ...make] }] }
  const source = encodeURIComponent(JSON.stringify(question))
  const query = `source=${source}&source_content_type=application/json`
  const answer = await answerTo(ask, `/_security/user/_has_privileges?${query}`)
  const rights = member(member(answer, 'index'), name)
  const has = (privilege: string) => member(rights, privilege)
  if (has(write) === false) {
    return `${who} may not write to it: grant the privilege ${write} on ${name}`
  }
  if (make.length > 0 && make.every((privilege) => has(privilege) === false)) {
    const grant = `grant ${who} the privilege auto_configure on it, or make it beforehand`
    return `does not exist, and ${who} may not make it: ${grant}`
  }
  return null
}

const BLOCKS: readonly (readonly [setting: string, fault: (name: string) => string])[] = [
  [
    'index.blocks.read_only_allow_delete',
    () =>
      'takes nothing, because a disk of Elasticsearch is nearly full (flood stage): make room ' +
      'there, and the block is lifted by itself',
  ],
  ['index.blocks.write', (name) => blocked(name, 'index.blocks.write')],
  ['index.blocks.read_only', (name) => blocked(name, 'index.blocks.read_only')],
  ['index.verified_before_close', (name) => `is closed: open it with POST /${name}/_open`],
]

function blocked(name: string, setting: string): string {
  return `takes no writes (${setting}): lift it with PUT /${name}/_settings {"${setting}": null}`
}

async function blockFault(ask: AskNode, name: string): Promise<string | null> {
  const path = `/${encodeURIComponent(name)}/_settings?flat_settings=true`
  const answer = await answerTo(ask, path)
  // Of a data stream, its last backing index is the one that is written to.
  const last =
    Object.keys(Object(answer) as object)
      .toSorted()
      .at(-1) ?? ''
  const settings = member(member(answer, last), 'settings')
  const found = BLOCKS.find(([setting]) => String(member(settings, setting)) === 'true')
  return found === undefined ? null : found[1](name)
}

async function clusterFault(ask: AskNode): Promise<string | null> {
  const answer = await answerTo(ask, '/_cluster/settings?flat_settings=true')
  const setting = 'cluster.blocks.read_only'
  const isBlocked = ['persistent', 'transient'].some(
    (kind) => String(member(member(answer, kind), setting)) === 'true',
  )
  if (!isBlocked) return null
  const lift = `PUT /_cluster/settings {"persistent": {"${setting}": null}}`
  return `the whole cluster is read-only (${setting}): lift it with ${lift}`
}

/** The JSON of an answer with status 200; undefined for any other. */
async function answerTo(ask: AskNode, path: string): Promise<unknown> {
  try {
    const { status, body: text } = await ask('GET', path)
    return status === 200 ? JSON.parse(text) : undefined
  } catch {
    // No answer, or not JSON: nothing is known of it. That the node is there was told before.
    return undefined
  }
}

/** A member by any name: indices and settings are named by others. */
function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Readonly<Record<string, unknown>>)[name]
}
