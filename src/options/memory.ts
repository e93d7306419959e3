/**
 * How much memory a configuration may come to need, as a sum of named parts.
 *
 * `logpipe check` prints it; `check` and `run` refuse a sum above 80 % of the container's limit.
 * An upper bound that is reached only with every queue full, not a prediction.
 */
import { LogpipeError } from '../core/errors.ts'
import { counted } from '../core/text-table.ts'
import { formatBytes } from '../core/units.ts'
import type { Config } from './config.ts'
import { propertyOf } from './kafka-properties.ts'

export interface MemoryPart {
  readonly name: string
  readonly bytes: number
  /** How the figure comes about. */
  readonly formula: string
}

export interface MemorySum {
  readonly parts: readonly MemoryPart[]
  readonly bytes: number
}

const MIB = 1024 * 1024
/** librdkafka's defaults. */
const QUEUED_MAX_KBYTES = 65_536
const FETCH_MAX_BYTES = 52_428_800
/**
 * A consumer has one fetch per broker on its way; each answer may lie in the receive buffer, in
 * the parsed queue and in what malloc holds back of earlier ones.
 */
const FETCHES_PER_BROKER = 8
/** A body and its compressed or in-flight copy. */
const BODIES_PER_REQUEST = 2
/** Node, its threads, code and everything small. */
const PROGRAM_BYTES = 200 * MIB
/** Part of the limit that may be planned; the rest is for the kernel's share of the container. */
const LIMIT_SHARE = 0.8

/**
 * @param poolBytes slots x bytes of a slot with its index, as pool/layout.ts computes them.
 * @param brokerCount brokers of the cluster, or those named while it is not known.
 */
export function memorySum(config: Config, poolBytes: number, brokerCount: number): MemorySum {
  const queuedBytes = propertyNumber(config, 'queued.max.messages.kbytes', QUEUED_MAX_KBYTES) * 1024
  const fetchBytes = propertyNumber(config, 'fetch.max.bytes', FETCH_MAX_BYTES)
  const consumerBytes = queuedBytes + brokerCount * fetchBytes * FETCHES_PER_BROKER
  const brokers = counted(brokerCount, 'broker')
  const fetched = `${brokers} x ${formatBytes(fetchBytes)} x ${FETCHES_PER_BROKER}`
  const body = formatBytes(config.esBulkBytes)
  const parts: MemoryPart[] = [
    {
      name: 'pool',
      bytes: poolBytes,
      formula: `${config.poolSize} slots of ${formatBytes(config.bufferBytes)} and their index`,
    },
    {
      name: 'batches in slots',
      bytes: config.poolSize * config.bufferBytes,
      formula: `${config.poolSize} slots x ${formatBytes(config.bufferBytes)}, kept until filtered`,
    },
    {
      name: 'consumers',
      bytes: config.ingressThreads * consumerBytes,
      formula: `${config.ingressThreads} threads x (${formatBytes(queuedBytes)} + ${fetched})`,
    },
  ]
  if (config.pipelineOutput.kind === 'elasticsearch') {
    parts.push(
      { name: 'queue', bytes: config.esQueueBytes, formula: 'ES_QUEUE_BYTES' },
      {
        name: 'requests',
        bytes: config.esConcurrency * config.esBulkBytes * BODIES_PER_REQUEST,
        formula: `${config.esConcurrency} x ${body} x ${BODIES_PER_REQUEST}`,
      },
    )
  }
  parts.push({ name: 'program', bytes: PROGRAM_BYTES, formula: 'Node and everything small' })
  return { parts, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0) }
}

/**
 * Refuses a sum that the container cannot hold.
 * @param limitBytes the cgroup's memory.max; null when there is none.
 * @throws LogpipeError MEMORY
 */
export function checkMemory(sum: MemorySum, limitBytes: number | null): void {
  if (limitBytes === null || sum.bytes <= limitBytes * LIMIT_SHARE) return
  const largest = sum.parts.reduce((left, right) => (right.bytes > left.bytes ? right : left))
  throw new LogpipeError(
    'MEMORY',
    `this configuration may use up to ${formatBytes(sum.bytes)} of memory, more than 80 % of ` +
      `the limit of ${formatBytes(limitBytes)}; the largest part is ${largest.name} ` +
      `(${formatBytes(largest.bytes)}: ${largest.formula}); logpipe check lists all parts`,
  )
}

function propertyNumber(config: Config, name: string, fallback: number): number {
  const value = Number(propertyOf(config.kafkaConfig, name) ?? fallback)
  // What is no number is left to librdkafka, which refuses it by name.
  return Number.isFinite(value) ? value : fallback
}
