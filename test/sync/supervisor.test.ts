/** The supervisor, with a clock that stands still and children that do as they are told. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import type { Assignment } from '../../src/sync/assignment.ts'
import type { Child, Exit } from '../../src/sync/child.ts'
import { Home, type ChildIdentity, type Leftovers } from '../../src/sync/home.ts'
import { spillOf } from '../../src/sync/launch.ts'
import { HEALTHY_MS, Supervisor } from '../../src/sync/supervisor.ts'
import { ManualClock } from '../../src/core/clock.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

interface FakeChild extends Child {
  readonly assignment: Assignment
  readonly signals: string[]
  /** Ends it; also by itself when told to, unless it is stubborn. */
  readonly exit: (exit: Partial<Exit>) => Promise<void>
}

/** Lets everything that is due without the clock happen. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

function supervisorFixture(
  t: TestContext,
  orphan: ChildIdentity | null = null,
  leftovers: Leftovers | null = null,
) {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-sync-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const home = new Home(folder, 'w1', () => () => undefined)
  const clock = new ManualClock()
  const children: FakeChild[] = []
  const alive = new Map<number, string>(orphan === null ? [] : [[orphan.pid, orphan.startTime]])
  const signals: string[] = []
  const drains = {
    /** What goes wrong. */
    answer: undefined as string | undefined,
    /** It lasts until it is told to end. */
    hang: false,
    asked: [] as number[],
    secrets: {} as Assignment['secrets'],
  }
  const control = { stubborn: false }
  const supervisor = new Supervisor(
    {
      clock,
      home,
      processes: {
        identify(pid) {
          const startTime = alive.get(pid)
          return startTime === undefined ? undefined : { pid, startTime }
        },
        signal(identity, signal) {
          signals.push(`${signal} ${identity.pid}`)
          if (signal === 'SIGKILL') alive.delete(identity.pid)
        },
      },
      start: (assignment) => {
        const child = fakeChild(assignment, 1000 + children.length, control)
        children.push(child)
        alive.set(1000 + children.length - 1, 'child')
        return child
      },
      spillOf: (one) => spillOf({ command: [], environment: {}, secretHosts: [] }, one),
      drainLeftovers: async ({ pipelineId, secrets }, signal, tell) => {
        drains.asked.push(pipelineId)
        drains.secrets = secrets
        if (drains.answer !== undefined) tell(`pipeline ${pipelineId}: ${drains.answer}`)
        if (drains.hang) await once(signal, 'abort')
        return drains.answer === undefined && !signal.aborted
      },
      onReply: () => undefined,
      log: () => undefined,
      drainMs: 10_000,
    },
    { child: orphan, leftovers },
  )
  /** Moves the time on in steps, letting things happen in between. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(Math.min(500, left))
      await settle()
    }
  }
  const running = () => children.filter((child) => child.signals.at(-1) !== 'gone')
  return { supervisor, clock, children, running, pass, alive, signals, drains, control, home }
}

function fakeChild(assignment: Assignment, pid: number, control: { stubborn: boolean }): FakeChild {
  const { promise, resolve } = Promise.withResolvers<Exit>()
  const signals: string[] = []
  const exit = async (given: Partial<Exit>) => {
    signals.push('gone')
    resolve({ code: null, signal: null, error: null, ...given })
    await settle()
  }
  return {
    assignment,
    pid,
    signals,
    exit,
    exited: promise,
    lastLines: () => ['the last line'],
    send: () => true,
    terminate() {
      signals.push('SIGTERM')
      if (!control.stubborn) void exit({ code: 0 })
    },
    kill() {
      signals.push('SIGKILL')
      void exit({ signal: 'SIGKILL' })
    },
  }
}

const assignment = (revision: number, more: Partial<Assignment> = {}): Assignment => ({
  pipelineId: 1,
  name: 'x',
  revision,
  variables: { MATCH_PATTERN: `R${revision}` },
  secrets: {},
  fallback: null,
  ...more,
})

/** Of pipeline 9, as an earlier sync process saved them. */
const leftovers = ({ lacksSecrets }: { lacksSecrets: boolean }): Leftovers => ({
  assignment: assignment(4, { pipelineId: 9, variables: { COMMIT_ON: 'spill' } }),
  lacksSecrets,
})

test('what is wanted runs, and stops when it is not wanted any more', async (t) => {
  const { supervisor, children, pass } = supervisorFixture(t)
  await settle()
  assert.equal(supervisor.status().state, 'idle')
  supervisor.want(assignment(1))
  await settle()
  assert.equal(supervisor.status().state, 'starting')
  await pass(2000)
  assert.equal(supervisor.status().state, 'running')
  assert.equal(supervisor.status().revision, 1)
  assert.equal(supervisor.status().pid, 1000)
  supervisor.want(null)
  await settle()
  assert.deepEqual(children[0]?.signals, ['SIGTERM', 'gone'])
  assert.equal(supervisor.status().state, 'idle')
  assert.equal(supervisor.status().pid, null)
})

test('a new revision starts only after the old child has gone', async (t) => {
  const { supervisor, children, control, pass } = supervisorFixture(t)
  control.stubborn = true
  supervisor.want(assignment(1))
  await pass(3000)
  supervisor.want(assignment(2))
  await pass(9000)
  assert.equal(children.length, 1)
  assert.equal(supervisor.status().state, 'stopping')
  await pass(1500)
  assert.deepEqual(children[0]?.signals, ['SIGTERM', 'SIGKILL', 'gone'])
  assert.equal(children.length, 2)
  assert.equal(supervisor.status().revision, 2)
})

test('a revision that changes nothing for the child restarts nothing', async (t) => {
  const { supervisor, children, pass } = supervisorFixture(t)
  supervisor.want(assignment(1))
  await pass(3000)
  supervisor.want({ ...assignment(1), revision: 7 })
  await settle()
  assert.equal(children.length, 1)
  assert.equal(supervisor.status().revision, 7)
})

test('a crash is followed by a longer pause each time, and told with its last lines', async (t) => {
  const { supervisor, children, pass } = supervisorFixture(t)
  supervisor.want(assignment(1))
  await settle()
  for (const [crashes, pauseMs] of [
    [1, 1000],
    [2, 2000],
    [3, 4000],
    [4, 8000],
  ] as const) {
    await children.at(-1)?.exit({ code: 1 })
    assert.equal(supervisor.status().state, 'backoff')
    assert.deepEqual(supervisor.status().error, {
      message: 'the child exited with status 1',
      lines: ['the last line'],
    })
    await pass(pauseMs - 500)
    assert.equal(children.length, crashes)
    await pass(500)
    assert.equal(children.length, crashes + 1)
  }
  await children.at(-1)?.exit({ signal: 'SIGSEGV' })
  assert.equal(supervisor.status().state, 'crash_loop')
  await pass(60_000)
  assert.equal(children.length, 6, 'it is tried again for ever, at the longest pause')
  await pass(HEALTHY_MS)
  assert.equal(supervisor.status().error, null)
})

test('a crash loop is one state until a child has read something', async (t) => {
  const { supervisor, children, clock, pass } = supervisorFixture(t)
  supervisor.want(assignment(1))
  await settle()
  for (const pauseMs of [1000, 2000, 4000, 8000, 60_000]) {
    await children.at(-1)?.exit({ code: 1 })
    await pass(pauseMs)
  }
  await pass(3000)
  assert.equal(children.length, 6)
  assert.equal(supervisor.status().state, 'crash_loop', 'though its child is alive')
  assert.notEqual(supervisor.crashedMs, null)
  const snapshot = (polled: number, uptimeSeconds: number) => ({
    atMs: clock.wallMs(),
    metrics: { polled_total: polled, uptime_seconds: uptimeSeconds },
  })
  supervisor.noteSnapshot(snapshot(0, 3))
  supervisor.noteSnapshot(snapshot(7, 60))
  assert.equal(supervisor.status().state, 'crash_loop', 'what an earlier child read says nothing')
  supervisor.noteSnapshot(snapshot(7, 3))
  assert.deepEqual([supervisor.status().state, supervisor.crashedMs], ['running', null])
})

test('a revision that will not run gives way to the last that ran', async (t) => {
  const { supervisor, children, pass } = supervisorFixture(t)
  supervisor.want(assignment(1))
  await pass(HEALTHY_MS + 1000)
  supervisor.want(assignment(2))
  await settle()
  await children.at(-1)?.exit({ code: 2 })
  assert.equal(children.length, 3, 'wrong options are not tried again')
  assert.equal(children.at(-1)?.assignment.revision, 1)
  await pass(HEALTHY_MS + 2000)
  const { state, revision, failedRevision, error } = supervisor.status()
  assert.deepEqual([state, revision, failedRevision], ['running', 1, 2])
  assert.match(error?.message ?? '', /status 2/)
  supervisor.want({ ...assignment(1), revision: 3 })
  await settle()
  assert.equal(children.length, 3, 'revision 3 is what runs already')
  assert.equal(supervisor.status().failedRevision, null)
  assert.equal(supervisor.status().error, null)
})

test('the orphan of an earlier sync ends before anything starts', async (t) => {
  const orphan = { pid: 77, startTime: '5' }
  const { supervisor, children, alive, pass, signals } = supervisorFixture(t, orphan)
  supervisor.want(assignment(1))
  await pass(5000)
  assert.equal(children.length, 0)
  assert.equal(supervisor.status().state, 'stopping')
  alive.delete(77)
  await pass(500)
  assert.equal(children.length, 1)
  assert.deepEqual(signals, ['SIGTERM 77'])
})

test('an orphan that does not drain is killed, a stranger of its pid is not', async (t) => {
  const orphan = { pid: 77, startTime: '5' }
  const stubborn = supervisorFixture(t, orphan)
  stubborn.supervisor.want(assignment(1))
  await stubborn.pass(11_000)
  assert.deepEqual(stubborn.signals, ['SIGTERM 77', 'SIGKILL 77'])
  assert.equal(stubborn.children.length, 1)
  const stranger = supervisorFixture(t, orphan)
  stranger.alive.set(77, '6')
  await stranger.pass(1000)
  stranger.supervisor.want(assignment(1))
  await settle()
  assert.equal(stranger.children.length, 1)
})

test('under spill, leftovers are sent before another pipeline is taken', async (t) => {
  const { supervisor, children, drains, pass } = supervisorFixture(t)
  supervisor.want(assignment(1, { variables: { COMMIT_ON: 'spill' } }))
  await pass(3000)
  drains.answer = 'Elasticsearch is away'
  supervisor.want(assignment(1, { pipelineId: 2 }))
  await pass(3000)
  assert.equal(children.length, 1)
  assert.match(supervisor.status().error?.message ?? '', /pipeline 1: Elasticsearch is away/)
  drains.answer = undefined
  await pass(1500)
  assert.equal(children.length, 2)
  assert.equal(supervisor.status().error, null)
  assert.ok(drains.asked.every((id) => id === 1))
})

test('leftovers are sent too when nothing else is wanted, with longer pauses', async (t) => {
  const { supervisor, drains, pass } = supervisorFixture(t)
  supervisor.want(assignment(1, { variables: { COMMIT_ON: 'spill' } }))
  await pass(3000)
  drains.answer = 'Elasticsearch is away'
  supervisor.want(null)
  await pass(8000)
  // At once, and 1, 2 and 4 seconds after that.
  assert.deepEqual(drains.asked, [1, 1, 1, 1])
  assert.match(supervisor.status().error?.message ?? '', /pipeline 1: Elasticsearch is away/)
  drains.answer = undefined
  await pass(8000)
  assert.equal(drains.asked.length, 5)
  assert.deepEqual([supervisor.status().state, supervisor.status().error], ['idle', null])
})

test('what was left is sent by the next sync process before anything starts', async (t) => {
  const left = leftovers({ lacksSecrets: false })
  const { supervisor, children, drains, pass } = supervisorFixture(t, null, left)
  await pass(2000)
  assert.deepEqual(drains.asked, [], 'it may be wanted again: nobody has said yet')
  supervisor.want(assignment(2))
  await settle()
  assert.deepEqual(drains.asked, [9])
  assert.equal(children.length, 1)
})

test('what was left waits for its passwords, which are not on disk', async (t) => {
  const left = leftovers({ lacksSecrets: true })
  const { supervisor, children, drains, pass, home } = supervisorFixture(t, null, left)
  supervisor.want(assignment(2))
  await pass(2000)
  assert.deepEqual([drains.asked, children.length, supervisor.leftovers.lacksSecretsOf], [[], 0, 9])
  assert.match(supervisor.status().error?.message ?? '', /pipeline 9 waits for its passwords/)
  assert.equal(home.read().leftovers?.lacksSecrets, true, 'a third process must ask as well')
  supervisor.giveSecrets({ ES_PASSWORD: 'x' })
  await pass(1000)
  assert.deepEqual([drains.asked, drains.secrets], [[9], { ES_PASSWORD: 'x' }])
  assert.deepEqual([children.length, supervisor.leftovers.lacksSecretsOf], [1, null])
  assert.equal(supervisor.status().error, null)
})

test('a drain that failed asks for other passwords, and goes on with those at hand', async (t) => {
  const left = leftovers({ lacksSecrets: true })
  const { supervisor, children, drains, pass } = supervisorFixture(t, null, left)
  supervisor.want(assignment(2))
  drains.answer = 'status 401'
  supervisor.giveSecrets({ ES_PASSWORD: 'old' })
  await pass(500)
  assert.deepEqual([drains.asked, supervisor.leftovers.asksSecretsOf], [[9], 9])
  await pass(3000)
  assert.deepEqual(drains.asked, [9, 9, 9], 'the control plane may be away')
  supervisor.giveSecrets({ ES_PASSWORD: 'old' })
  await settle()
  assert.equal(drains.asked.length, 3, 'the same ones shorten no pause')
  supervisor.giveSecrets(null)
  await pass(4000)
  assert.deepEqual([drains.asked, drains.secrets], [[9, 9, 9, 9], { ES_PASSWORD: 'old' }])
  drains.answer = undefined
  supervisor.giveSecrets({ ES_PASSWORD: 'new' })
  await pass(1000)
  assert.deepEqual([drains.secrets, children.length], [{ ES_PASSWORD: 'new' }, 1])
  assert.equal(supervisor.leftovers.asksSecretsOf, null)
})

test('what nobody has the passwords of any more does not hold up what is wanted', async (t) => {
  const left = leftovers({ lacksSecrets: true })
  const { supervisor, children, drains, pass, home } = supervisorFixture(t, null, left)
  supervisor.want(assignment(2))
  await pass(1000)
  supervisor.giveSecrets(null)
  await pass(1000)
  assert.deepEqual([drains.asked, children.length, home.read().leftovers], [[], 1, null])
})

test('what was left is not sent apart when its pipeline is wanted again', async (t) => {
  const left = leftovers({ lacksSecrets: false })
  const { supervisor, children, drains, pass } = supervisorFixture(t, null, left)
  drains.hang = true
  supervisor.want(null)
  await pass(5000)
  assert.deepEqual([drains.asked, children.length], [[9], 0])
  supervisor.want(assignment(5, { pipelineId: 9, variables: { COMMIT_ON: 'spill', A: 'b' } }))
  await pass(1000)
  assert.deepEqual([drains.asked, children.length], [[9], 1])
  assert.equal(supervisor.status().error, null)
})

test('a drain ends before a revision starts that cannot send what is left', async (t) => {
  for (const variables of [{ COMMIT_ON: 'index' }, { COMMIT_ON: 'spill', ES_INDEX: 'other' }]) {
    const left = leftovers({ lacksSecrets: false })
    const { supervisor, children, drains, pass } = supervisorFixture(t, null, left)
    drains.answer = 'Elasticsearch is away'
    supervisor.want(null)
    await pass(1000)
    const asked = drains.asked.length
    supervisor.want(assignment(5, { pipelineId: 9, variables }))
    await pass(8000)
    assert.equal(children.length, 0, 'it would refuse the spill')
    assert.ok(drains.asked.length > asked)
    drains.answer = undefined
    await pass(16_000)
    const isHeld = supervisor.leftovers.pipelineId === 9
    assert.deepEqual([children.length, isHeld], [1, variables.COMMIT_ON === 'spill'])
  }
})

test('what a running revision left is sent before one that cannot takes its place', async (t) => {
  const { supervisor, children, drains, pass } = supervisorFixture(t)
  supervisor.want(assignment(1, { variables: { COMMIT_ON: 'spill', ES_INDEX: 'a' } }))
  await pass(3000)
  supervisor.want(assignment(2, { variables: { COMMIT_ON: 'spill', ES_INDEX: 'a', P: 'q' } }))
  await pass(3000)
  assert.deepEqual([drains.asked, children.length], [[], 2])
  supervisor.want(assignment(3, { variables: { COMMIT_ON: 'spill', ES_INDEX: 'b' } }))
  await pass(3000)
  assert.deepEqual([drains.asked, children.length], [[1], 3])
})

test('an orphan that drains is not forgotten when something is asked for meanwhile', async (t) => {
  const orphan = { pid: 77, startTime: '5' }
  const { supervisor, alive, pass, home, children } = supervisorFixture(t, orphan)
  await pass(500)
  supervisor.want(assignment(1))
  assert.deepEqual(home.read().child, orphan, 'a third process must wait for it too')
  alive.delete(77)
  await pass(1000)
  assert.deepEqual([children.length, home.read().child?.pid], [1, 1000])
})

test('who has run no revision well goes back to the one that ran well elsewhere', async (t) => {
  const { supervisor, children, pass } = supervisorFixture(t)
  supervisor.want(assignment(3, { fallback: assignment(1) }))
  await settle()
  await children.at(-1)?.exit({ code: 2 })
  await pass(HEALTHY_MS + 2000)
  const { state, revision, failedRevision } = supervisor.status()
  assert.deepEqual([state, revision, failedRevision], ['running', 1, 3])
})

test('closing stops the child at any moment, and never is there more than one', async (t) => {
  for (const moment of [0, 500, 2500, 31_000]) {
    const { supervisor, running, pass, clock } = supervisorFixture(t)
    supervisor.want(assignment(1))
    await pass(moment)
    assert.ok(running().length <= 1)
    await supervisor.close()
    assert.equal(running().length, 0)
    assert.equal(clock.pendingCount, 0)
  }
})
