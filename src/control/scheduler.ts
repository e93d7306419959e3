/**
 * Which worker runs which pipeline: a pure function of what is wanted and who is there.
 *
 * A pin (an explicit assignment) always wins, however many there are. Then every running pipeline
 * is given idle live workers until it has its replicas: first each pipeline one, then each its
 * second, and so on, in order of id. One worker runs one pipeline. Who runs something goes on
 * running it: nobody is moved to make the picture prettier, since a move costs a rebalance.
 *
 * A lost worker counts for nothing, but while nobody can take its place it keeps its assignment, so
 * that it goes on where it was when it is heard again. Two workers on one pipeline for a moment is
 * no harm: they share its consumer group.
 */
import type { PipelineWish } from './pipeline-store.ts'

export interface Pin {
  readonly pipelineId: number
  /** False: the worker is kept for the pipeline, and stands still. */
  readonly run: boolean
}

export interface SchedulerWorker {
  readonly id: string
  /** Heard of within its last five polls. */
  readonly live: boolean
  readonly pin: Pin | null
  /** What it was given so far. */
  readonly pipelineId: number | null
}

export interface Schedule {
  /** Every worker: the pipeline it shall run, or null. */
  readonly assignments: ReadonlyMap<string, number | null>
  /** Every enabled pipeline that has fewer workers than it should, and why. */
  readonly shortages: ReadonlyMap<number, Shortage>
}

export interface Shortage {
  readonly runningCount: number
  readonly reason: string
}

export function schedule(
  pipelines: readonly PipelineWish[],
  workers: readonly SchedulerWorker[],
): Schedule {
  const wanted = new Map(
    pipelines.filter(({ enabled }) => enabled).map(({ id, replicas }) => [id, replicas]),
  )
  const assignments = new Map<string, number | null>(workers.map(({ id }) => [id, null]))
  const counts = new Map<number, number>()
  const give = (worker: SchedulerWorker, pipelineId: number): void => {
    assignments.set(worker.id, pipelineId)
    if (worker.live) counts.set(pipelineId, (counts.get(pipelineId) ?? 0) + 1)
  }
  const missing = (pipelineId: number): number =>
    (wanted.get(pipelineId) ?? 0) - (counts.get(pipelineId) ?? 0)

  const free: SchedulerWorker[] = []
  for (const worker of workers) {
    if (worker.pin === null) free.push(worker)
    else if (worker.pin.run && wanted.has(worker.pin.pipelineId)) {
      give(worker, worker.pin.pipelineId)
    }
  }
  const idle: SchedulerWorker[] = []
  for (const worker of free.filter(({ live }) => live)) {
    if (worker.pipelineId !== null && missing(worker.pipelineId) > 0) {
      give(worker, worker.pipelineId)
    } else idle.push(worker)
  }
  giveInTurns(wanted, idle, missing, give)
  for (const worker of free.filter(({ live }) => !live)) {
    const { pipelineId } = worker
    if (pipelineId !== null && missing(pipelineId) > 0) assignments.set(worker.id, pipelineId)
  }
  return { assignments, shortages: shortagesOf(wanted, workers, assignments, counts) }
}

/** Each pipeline its first worker before any its second. Ends: every turn takes a worker. */
function giveInTurns(
  wanted: ReadonlyMap<number, number>,
  idle: SchedulerWorker[],
  missing: (pipelineId: number) => number,
  give: (worker: SchedulerWorker, pipelineId: number) => void,
): void {
  const queue = idle.slice().reverse()
  const have = (id: number): number => (wanted.get(id) ?? 0) - missing(id)
  while (queue.length > 0) {
    const short = [...wanted.keys()].filter((id) => missing(id) > 0)
    if (short.length === 0) return
    const least = Math.min(...short.map(have))
    for (const id of short.filter((candidate) => have(candidate) === least)) {
      const worker = queue.pop()
      if (worker === undefined) return
      give(worker, id)
    }
  }
}

function shortagesOf(
  wanted: ReadonlyMap<number, number>,
  workers: readonly SchedulerWorker[],
  assignments: ReadonlyMap<string, number | null>,
  counts: ReadonlyMap<number, number>,
): Map<number, Shortage> {
  const liveCount = workers.filter(({ live }) => live).length
  const lostBy = new Map<number, string[]>()
  for (const worker of workers) {
    const pipelineId = assignments.get(worker.id) ?? null
    if (worker.live || pipelineId === null) continue
    lostBy.set(pipelineId, [...(lostBy.get(pipelineId) ?? []), worker.id])
  }
  const shortages = new Map<number, Shortage>()
  for (const [id, replicas] of wanted) {
    const runningCount = counts.get(id) ?? 0
    if (runningCount >= replicas) continue
    const lost = lostBy.get(id) ?? []
    const parts = [
      ...(runningCount > 0 ? [`${runningCount} of ${replicas} replicas have a worker`] : []),
      ...(lost.length > 0 ? [`lost contact with ${lost.join(', ')}`] : []),
      whyNobody(workers.length, liveCount),
    ]
    shortages.set(id, { runningCount, reason: parts.join('; ') })
  }
  return shortages
}

function whyNobody(workerCount: number, liveCount: number): string {
  if (workerCount === 0) return 'there is no worker: start one with `logpipe sync`'
  if (liveCount === 0) return `lost contact with all ${workerCount} known workers`
  const taken = liveCount === 1 ? 'the only live worker is' : `all ${liveCount} live workers are`
  return `${taken} busy: start another with \`logpipe sync\``
}
