/**
 * Tells the pipelines of one consumer group apart: a fingerprint of the filter and the target.
 * Two pipelines in one group would each get a part of the partitions, and commit as filtered what
 * the other wanted.
 *
 *   client.id          logpipe-pipeline-FINGERPRINT   shown by tools that describe the group
 *   commit metadata    commit-note.ts                 stays when nobody is in the group any more
 *
 * The same on every worker of a pipeline: nothing of one machine is part of it, as are the paths of
 * files. Under control the pipeline's own number decides, so that an edited pipeline is still
 * itself.
 */
import { createHash } from 'node:crypto'
import type { ExpressionNode } from '../core/expression/ast.ts'
import { printExpression } from '../core/expression/print.ts'
import type { Config } from '../options/config.ts'
import {
  type FilterConfig,
  filterPlan,
  filterText,
  hasExpressions,
  patternsOf,
} from '../options/filter.ts'

export interface PipelineIdentity {
  /** 12 hex digits: among a thousand pipelines two are the same once in 500 million times. */
  readonly fingerprint: string
  /** For people: the filter and the target. One line without passwords. */
  readonly label: string
}

/** The fields that decide. */
export type IdentityConfig = FilterConfig &
  Pick<
    Config,
    | 'productLine'
    | 'pipelineOutput'
    | 'esUrl'
    | 'esIndex'
    | 'esPipeline'
    | 'metrics'
    | 'metricsIndex'
  >

/** A pipeline of a control plane. */
export interface ControlledPipeline {
  readonly id: number
  readonly name: string
}

/** Characters. */
export const LABEL_MAX = 120
const CLIENT_ID = /-pipeline-([0-9a-f]{12})$/

/** @param controlled null: started by hand. */
export function identityOf(
  config: IdentityConfig,
  controlled: ControlledPipeline | null,
): PipelineIdentity {
  if (controlled !== null) {
    const label = cut(`pipeline ${controlled.id} ${JSON.stringify(controlled.name)}`)
    return { fingerprint: hashOf(['pipeline', controlled.id]), label }
  }
  const target = [...targetOf(config), ...metricsText(config)]
  if (config.productLine === 'metrics' && config.metrics.length > 0) {
    return { fingerprint: hashOf(target), label: cut(target.join(' ')) }
  }
  if (config.rules !== null) {
    return {
      fingerprint: hashOf([config.rules, target]),
      label: cut(`${filterText(config)} to ${target.join(' ')}`),
    }
  }
  if (hasExpressions(config)) {
    const { keep, drop } = filterPlan(config).program
    return {
      fingerprint: hashOf([sorted(keep), drop === null ? null : sorted(drop), target]),
      label: cut(`${filterText(config)} to ${target.join(' ')}`),
    }
  }
  const patterns = patternsOf(config).map((pattern) => Buffer.from(pattern))
  const { matchIgnoreCase, matchInvert } = config
  const kept = patterns.map((pattern) => pattern.toString('hex')).toSorted()
  return {
    fingerprint: hashOf([kept, matchIgnoreCase, matchInvert, target]),
    label: cut(`${keptText(patterns, config)} to ${target.join(' ')}`),
  }
}

/** The alternatives in one order: which was given first means nothing. */
function sorted(node: ExpressionNode): string[] {
  const parts = node.kind === 'any' ? node.of : [node]
  return parts.map(printExpression).toSorted()
}

function keptText(patterns: readonly Buffer[], { matchInvert }: IdentityConfig): string {
  if (patterns.length === 0) return matchInvert ? 'no record' : 'every record'
  const shown = patterns.map((pattern) => JSON.stringify(pattern.toString('utf8'))).join(', ')
  return matchInvert ? `all but ${shown}` : shown
}

/** Where it goes; a file is of one machine, so its path has no say. */
function targetOf(config: IdentityConfig): readonly string[] {
  if (config.productLine === 'metrics') return ['counts']
  const { pipelineOutput, esUrl, esIndex, esPipeline } = config
  if (pipelineOutput.kind !== 'elasticsearch') return [pipelineOutput.kind]
  const places = esUrl.map((url) => `${new URL(url).origin}${new URL(url).pathname}`).toSorted()
  return [esIndex, 'at', ...places, ...(esPipeline === '' ? [] : ['by', esPipeline])]
}

/** The metrics beside it: two pipelines that count differently would each count a part. */
function metricsText({ metrics, metricsIndex }: IdentityConfig): readonly string[] {
  if (metrics.length === 0) return []
  const index = metricsIndex === null ? [] : ['in', metricsIndex]
  return ['with', 'metrics', ...metrics.toSorted(), ...index]
}

function hashOf(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12)
}

function cut(text: string): string {
  // A pair of surrogates that is cut in two would be no UTF-8.
  return text.length > LABEL_MAX ? `${text.slice(0, LABEL_MAX - 3).toWellFormed()}...` : text
}

/** The properties of a consumer with the fingerprint behind its client.id. */
export function withFingerprint(
  properties: readonly (readonly [name: string, value: string])[],
  { fingerprint }: PipelineIdentity,
): (readonly [name: string, value: string])[] {
  return properties.map(([name, value]) =>
    name === 'client.id' ? [name, `${value}-pipeline-${fingerprint}`] : [name, value],
  )
}

/** Undefined: another program, or a logpipe that knew no fingerprints. */
export function fingerprintOf(clientId: string): string | undefined {
  return CLIENT_ID.exec(clientId)?.[1]
}
