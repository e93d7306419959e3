import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { isRunning, systemProcesses } from '../../../src/sync/processes.ts'
import { until } from '../../helpers/program.ts'

// A child that would outlive its parent: it reads no stdin and has a timer.
const CHILD = `
  require(${JSON.stringify(path.resolve('build/bridge.node'))}).endWithParent()
  setInterval(() => undefined, 1000)
  console.log(process.pid)`
const PARENT = `
  require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(CHILD)}], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })`

test('a child that asked for it ends when its parent is killed', async (t) => {
  const parent = spawn(process.execPath, ['-e', PARENT], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => parent.kill('SIGKILL'))
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string]
  const child = systemProcesses.identify(Number(line))
  assert.ok(child !== undefined)
  t.after(() => systemProcesses.signal(child, 'SIGKILL'))
  parent.kill('SIGKILL')
  await until('the end of the child', () => !isRunning(systemProcesses, child))
})
