/**
 * States in words and tones. The word always stands beside the colour.
 */
import type { Command, PipelineState, Worker } from '../data/api-types.ts'

/** calm: nothing to do; busy: on its way; good, warn, bad: as they say. */
export type Tone = 'calm' | 'busy' | 'good' | 'warn' | 'bad'

const PIPELINE: Readonly<Record<PipelineState, Tone>> = {
  stopped: 'calm',
  stopping: 'busy',
  pending: 'warn',
  starting: 'busy',
  running: 'good',
  degraded: 'warn',
  failed: 'bad',
}

export function pipelineTone(state: PipelineState): Tone {
  return PIPELINE[state]
}

/** In order of what needs a person most. */
export const STATE_ORDER: readonly PipelineState[] = [
  'failed',
  'degraded',
  'pending',
  'starting',
  'stopping',
  'running',
  'stopped',
]

const WORKER: ReadonlyMap<string, Tone> = new Map([
  ['running', 'good'],
  ['starting', 'busy'],
  ['stopping', 'busy'],
  ['backoff', 'warn'],
  ['crash_loop', 'bad'],
  ['lost', 'bad'],
])

export function workerTone({ state }: Pick<Worker, 'state'>): Tone {
  return WORKER.get(state) ?? 'calm'
}

export function stateWord(state: string): string {
  return state.replaceAll('_', ' ')
}

export function isFinished({ state }: Pick<Command, 'state'>): boolean {
  return state === 'done' || state === 'failed' || state === 'expired'
}
