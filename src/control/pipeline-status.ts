/**
 * How a pipeline is doing, in one word and one sentence, from what is wanted and what its workers
 * say.
 *
 *   stopped   not wanted, and no worker runs it
 *   stopping  not wanted, and a worker still drains it
 *   pending   wanted, and no worker is there for it; the reason says why
 *   starting  wanted and assigned; no child runs yet
 *   running   as wanted, or with fewer replicas than wanted (the reason says so)
 *   degraded  something runs, but not as wanted: it is kept from its work (core/trouble.ts), a
 *             child crashes, or an older revision runs
 *   failed    nothing runs, because the child crashes again and again
 */
import type { PipelineState, PipelineStatus } from '../core/control-api.ts'
import { troubleSentence } from '../core/trouble.ts'
import type { Command, CommandQueue } from './commands.ts'
import type { Fleet, WorkerNow } from './fleet.ts'
import type { Pipeline } from './pipeline-store.ts'

export function pipelineStatus(
  pipeline: Pick<Pipeline, 'id' | 'enabled' | 'revision'>,
  fleet: Fleet,
  commands: CommandQueue,
): PipelineStatus {
  const workers = pipeline.enabled ? fleet.assignedTo(pipeline.id) : fleet.running(pipeline.id)
  const check = commands.latest(pipeline.id, 'check')
  const reasons = reasonsOf(pipeline.id, workers)
  // A child that works says more than an earlier check; one that crashed says only that it did.
  const isExplained = reasons.some(({ kind }) => kind !== 'child_crashed')
  const { state, reason } = pipeline.enabled
    ? enabledState(pipeline, workers, fleet.shortage(pipeline.id), reasons)
    : disabledState(workers, reasons)
  return {
    state,
    reason: TELLS_CHECK.has(state) && !isExplained ? withCheck(reason, check) : reason,
    reasons: reasons.slice(0, REASONS_MAX),
    workers: workers.map(({ id, live, heartbeat }) => ({
      id,
      state: live ? (heartbeat?.state ?? 'unknown') : 'lost',
      revision: heartbeat?.revision ?? null,
      error: heartbeat?.error ?? null,
    })),
    check: check === undefined ? null : checkView(check),
  }
}

/** Who runs as wanted has shown that what was wrong at the start is not any more. */
const TELLS_CHECK: ReadonlySet<PipelineState> = new Set(['starting', 'degraded', 'failed'])

function withCheck(reason: string | null, check: Command | undefined): string | null {
  const wrong = check === undefined ? [] : wrongOf(check)
  if (check === undefined || wrong.length === 0) return reason
  const said = `check on ${check.workerId} failed: ${wrong.join('; ')}`
  return reason === null ? said : `${reason}; ${said}`
}

function checkView(check: Command): PipelineStatus['check'] {
  return {
    id: check.id,
    state: check.state,
    worker_id: check.workerId,
    created_at: new Date(check.createdMs).toISOString(),
    wrong: wrongOf(check),
    result: findingsOf(check.result),
  }
}

type Reasons = PipelineStatus['reasons']

/** Of a list of many pipelines; who needs more asks the workers. */
const REASONS_MAX = 20

function reasonsOf(id: number, workers: readonly WorkerNow[]): Reasons {
  // Between two children a worker runs nothing: what it says then is of what it shall run.
  return workers.flatMap(({ id: workerId, live, heartbeat }) =>
    live && heartbeat !== null && (heartbeat.pipelineId ?? id) === id
      ? heartbeat.troubles.map((trouble) => ({ worker_id: workerId, ...trouble }))
      : [],
  )
}

/** In one sentence; null: nothing keeps it from its work. */
function sentenceOf(reasons: Reasons): string | null {
  return troubleSentence(
    reasons.map(({ worker_id: worker, text }) => ({ text: `${worker}: ${text}` })),
  )
}

function disabledState(
  workers: readonly WorkerNow[],
  reasons: Reasons,
): { readonly state: PipelineState; readonly reason: string | null } {
  // A drain that does not end has its reason, too.
  if (workers.length > 0) return { state: 'stopping', reason: sentenceOf(reasons) }
  return { state: 'stopped', reason: null }
}

function enabledState(
  { id, revision }: Pick<Pipeline, 'id' | 'revision'>,
  workers: readonly WorkerNow[],
  shortage: { readonly runningCount: number; readonly reason: string } | undefined,
  reasons: Reasons,
): { readonly state: PipelineState; readonly reason: string | null } {
  if (shortage?.runningCount === 0) return { state: 'pending', reason: shortage.reason }
  const live = workers.filter((worker) => worker.live)
  const runs = live.filter(
    ({ heartbeat }) => heartbeat?.state === 'running' && heartbeat.pipelineId === id,
  )
  const faulty = live.find(
    ({ heartbeat }) => heartbeat?.error !== null && heartbeat?.error !== undefined,
  )
  if (faulty !== undefined) {
    const { heartbeat } = faulty
    const message = `${faulty.id}: ${heartbeat?.error?.message ?? ''}`
    const nothingRuns = runs.length === 0 && heartbeat?.state === 'crash_loop'
    return { state: nothingRuns ? 'failed' : 'degraded', reason: message }
  }
  const wrong = sentenceOf(reasons)
  if (wrong !== null) return { state: 'degraded', reason: wrong }
  const reason = shortage?.reason ?? null
  if (runs.length === 0) return { state: 'starting', reason }
  const older = runs.find(({ heartbeat }) => heartbeat?.revision !== revision)
  if (older !== undefined) {
    const has = String(older.heartbeat?.revision ?? 'none')
    return { state: 'running', reason: `${older.id} still runs revision ${has}` }
  }
  return { state: 'running', reason }
}

/*
 * What a check on a worker found, out of what `logpipe check` printed there.
 *
 * Its text is a table, its last part one line for each thing that was looked at: `WRONG  subject:
 * detail`. A check that could not look (a wrong option, another pipeline by now) says why instead.
 */

const WRONG = /^WRONG\s+(.+)$/
const FINDING = /^(ok|note|warn|WRONG|--)\s/
/** Of a check that found nothing to say, what it said instead. */
const LINES_MAX = 12
/** A sentence has room for so many, and a line is cut by sync. */
const WRONG_MAX = 5

/** One line for each thing that is wrong; none where nothing is, or the check is not done. */
function wrongOf({ state, result }: Pick<Command, 'state' | 'result'>): readonly string[] {
  if (state !== 'failed') return []
  const { output, message } = Object(result) as { output?: unknown; message?: unknown }
  const lines = Array.isArray(output) ? output.map(String).filter((line) => line !== '') : []
  const wrong = lines.flatMap((line) => WRONG.exec(line)?.[1] ?? [])
  if (wrong.length > 0) return wrong.slice(0, WRONG_MAX)
  return [typeof message === 'string' ? message : (lines.at(-1) ?? 'it failed')]
}

/**
 * The result without the configuration that the check tells first: a list of pipelines holds one of
 * these for each. The whole is at /api/commands/ID.
 */
export function findingsOf(result: unknown): unknown {
  const { output } = Object(result) as { output?: unknown }
  if (!Array.isArray(output)) return result
  const lines = output.map(String)
  const found = lines.filter((line) => FINDING.test(line))
  const verdict = lines.at(-1)
  const kept =
    found.length === 0 ? lines.slice(-LINES_MAX) : [...found, ...(verdict ? [verdict] : [])]
  return { ...Object(result), output: kept }
}
