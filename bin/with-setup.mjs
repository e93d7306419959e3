// Runs a TypeScript program of this checkout on Node 24, after the set-up that it needs.
//   node bin/with-setup.mjs FILE.ts [ARG...]
// Plain JavaScript for any Node from 20: this is the first thing that runs on a bare machine.
import { spawn } from 'node:child_process'
import { setUp, nodeBinary, root } from './setup.mjs'

await setUp()
const child = spawn(
  nodeBinary,
  ['--disable-warning=ExperimentalWarning', ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit' },
)
// A terminal's Ctrl-C reaches the child by itself; what is sent to this process alone is passed on.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.on('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 128 + (signal === 'SIGINT' ? 2 : 15)
})
