/** Signals that others send: a reload at any moment, and the one that asks for Node's debugger. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { startProgram, temporaryFolder } from '../helpers/program.ts'
import { IS_PACKED } from '../helpers/program-command.ts'

/** Sends SIGHUP when the command is about to be loaded: it does not listen yet. */
const HANGUP_AT_START = `
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve(name, context, next) {
      if (/\\/(run|control|sync)\\.ts$/.test(name)) process.kill(process.pid, 'SIGHUP')
      return next(name, context)
    },
  })`

const COMMANDS = {
  control: ['--listen', '127.0.0.1:0'],
  sync: ['--worker-id', 'w', '--control-plane-url', 'http://127.0.0.1:1'],
}

test('a SIGHUP that comes before the command listens is kept for it', async (t) => {
  if (IS_PACKED) return t.skip('hooks itself into the loading of sources')
  const preload = `data:text/javascript,${encodeURIComponent(HANGUP_AT_START)}`
  for (const [command, args] of Object.entries(COMMANDS)) {
    const env = { NODE_OPTIONS: `--import=${preload}` }
    const program = startProgram(t, temporaryFolder(t), [command, ...args], env)
    await program.heard(/SIGHUP: reloaded/)
    program.signal('SIGTERM')
    assert.equal(await program.ended, 0)
  }
})

test('SIGUSR1 opens no debugger', async (t) => {
  if (IS_PACKED) return t.skip('the flag is in the executable')
  const wrapper = path.resolve('bin/logpipe')
  const env = { NODE_OPTIONS: '--inspect-port=127.0.0.1:0' }
  const args = ['control', ...COMMANDS.control]
  const through = ['sh', '-c', `exec "${wrapper}" ${args.join(' ')}`]
  const program = startProgram(t, temporaryFolder(t), args, env, through)
  const [, url = ''] = await program.heard(/control plane at (http:\S+\d)/)
  for (let round = 0; round < 20; round++) {
    program.signal('SIGUSR1')
    assert.equal((await fetch(`${url}/health`)).status, 200)
  }
  program.signal('SIGHUP')
  await program.heard(/SIGHUP: reloaded/)
  assert.doesNotMatch(program.said(), /[Dd]ebugger/)
})
