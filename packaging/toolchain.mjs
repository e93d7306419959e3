// The compiler of the release, and how commands are run: used by addons.mjs and pack.mjs.
// zig comes from PyPI by its hash. It brings headers and stubs of every glibc, and its own libc++,
// so that what it links asks for glibc 2.28 at most and for no libstdc++.
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

export const root = path.resolve(import.meta.dirname, '..')
/** All that the build makes on its way; may be removed at any time. */
export const work = path.join(root, 'build/release')
/** Node's own floor: an older one could not run the executable anyway. */
export const GLIBC = '2.28'

const execute = promisify(execFile)
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
/** Compilers at a time: what a build may take of the machine. */
const JOBS = 2

export const say = (line) => process.stderr.write(`build: ${line}\n`)

/** Runs a command and gives its stdout; what it said is shown when it fails. */
export async function run(command, args, options = {}) {
  try {
    const { stdout } = await execute(command, args, {
      cwd: root,
      maxBuffer: OUTPUT_BYTES_MAX,
      ...options,
    })
    return stdout
  } catch (error) {
    const said = `${error.stdout ?? ''}${error.stderr ?? ''}`.split('\n').slice(-40).join('\n')
    throw new Error(`${[command, ...args].join(' ')} failed:\n${said || error.message}`, {
      cause: error,
    })
  }
}

/** Runs the tasks, JOBS at a time; the first that fails ends it. */
export async function inParallel(tasks) {
  const waiting = [...tasks]
  const worker = async () => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) await task()
  }
  await Promise.all(Array.from({ length: JOBS }, worker))
}

/**
 * The compilers as two programs, `cc` and `cxx`, since configure scripts want one word.
 * @returns {Promise<{ cc: string, cxx: string, env: Record<string, string> }>}
 */
export async function toolchain() {
  const zig = path.join(work, 'zig/ziglang/zig')
  const requirements = path.join(import.meta.dirname, 'zig-requirements.txt')
  if (!fs.existsSync(zig)) {
    await run('python3', ['-m', 'pip', '--version']).catch(() => {
      throw new Error('python3 has no pip: apt-get install python3-pip')
    })
    say('the compiler (zig, from PyPI, 100 MB) ...')
    const args = [
      'install',
      '--quiet',
      '--no-deps',
      '--require-hashes',
      '--root-user-action=ignore',
    ]
    await run('python3', [
      '-m',
      'pip',
      ...args,
      '--target',
      path.join(work, 'zig'),
      '-r',
      requirements,
    ])
  }
  const folder = path.join(work, 'bin')
  fs.mkdirSync(folder, { recursive: true })
  const wrap = (name, command) => {
    const file = path.join(folder, name)
    const text = `#!/bin/sh\nexec '${zig}' ${command} -target x86_64-linux-gnu.${GLIBC} "$@"\n`
    fs.writeFileSync(file, text, { mode: 0o755 })
    return file
  }
  const cache = path.join(work, 'zig-cache')
  const env = { ...process.env, ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache }
  return { cc: wrap('cc', 'cc'), cxx: wrap('cxx', 'c++'), env }
}
