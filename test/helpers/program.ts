/**
 * The program as a process of its own: what it says on stderr, and how it ends. It is killed when
 * its test is over, however that ends.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { ARGUMENTS, COMMAND } from './program-command.ts'

/** Far more than a busy machine needs; a test that waits so long has failed. */
const PATIENCE_MS = 60_000
const LOOK_EVERY_MS = 25

export interface Program {
  readonly pid: number
  /** All it has said on stderr by now. */
  said(): string
  /** The first match in what it says. */
  heard(pattern: RegExp): Promise<RegExpExecArray>
  signal(name: NodeJS.Signals): void
  /** The exit status, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
}

/**
 * Nothing of the machine that runs the tests may set an option.
 * @param through what starts it: another program with its arguments
 */
export function startProgram(
  t: TestContext,
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  through: readonly string[] = [],
): Program {
  const [first = '', ...rest] = [...through, COMMAND, ...ARGUMENTS, ...args]
  const child = spawn(first, rest, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (status, signal) => resolve(status ?? signal ?? -1))
  })
  assert.ok(child.pid !== undefined)
  return {
    pid: child.pid,
    ended,
    said: () => stderr,
    heard: async (pattern) =>
      await until(`${String(pattern)} from ${args.join(' ')}`, () => pattern.exec(stderr)).catch(
        (error: unknown) => assert.fail(`${String(error)}; it said:\n${stderr.slice(-4000)}`),
      ),
    signal: (name) => void child.kill(name),
  }
}

/** Looks again and again until there is something to see. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
): Promise<Exclude<T, null | undefined | false>> {
  const endMs = Date.now() + PATIENCE_MS
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== null && seen !== false) {
      return seen as Exclude<T, null | undefined | false>
    }
    assert.ok(Date.now() < endMs, `waited for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A control plane on a free port, with the API to call. */
export async function startControlProgram(
  t: TestContext,
  cwd: string,
  env: Readonly<Record<string, string>> = {},
) {
  const control = startProgram(t, cwd, ['control', '--listen', '127.0.0.1:0'], env)
  const [, url = ''] = await control.heard(/control plane at (http:\/\/127\.0\.0\.1:\d+)/)
  const call = async (method: string, route: string, body?: unknown) => {
    const answer = await fetch(url + route, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    return { status: answer.status, body: JSON.parse(await answer.text()) }
  }
  return { control, url, call }
}
