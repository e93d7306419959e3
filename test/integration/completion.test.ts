/**
 * What the shells themselves complete, asked of bash, zsh and fish. A shell that is not installed
 * is skipped by name.
 *
 * Method: bash calls the function as readline would; fish has a command for it; zsh completes in a
 * terminal of its own (zsh/zpty), and what it has typed is read back.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { SCRIPTS } from '../../src/cli/completion.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

/** What is typed, and a word that must be offered, or must not. */
const CASES: readonly (readonly [line: string, offers: string, not: string])[] = [
  ['logpipe ru', 'run', 'check'],
  ['logpipe dl', 'dlq', 'run'],
  ['logpipe bench pr', 'produce', 'consume'],
  ['logpipe dlq rep', 'replay', 'drop'],
  ['logpipe spill ver', 'verify', 'drain'],
  ['logpipe completion fi', 'fish', 'bash'],
  ['logpipe run --kafka-brok', '--kafka-brokers', '--kafka-topic'],
  ['logpipe run --mode dir', 'direct', 'worker'],
  ['logpipe bench produce --compression lz', 'lz4', 'gzip'],
  ['logpipe bench --pro', '--profile', '--compression'],
  ['logpipe run --no-es-en', '--no-es-enabled', '--es-enabled'],
]

function run(shell: Shell, script: string, folder: string): string {
  const options = { bash: ['--norc'], zsh: ['-f'], fish: ['--no-config'] }[shell]
  const { stdout, stderr, status } = spawnSync(shell, [...options, '-c', script], {
    encoding: 'utf8',
    cwd: folder,
    timeout: 30_000,
    env: {
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      HOME: folder,
      TERM: 'dumb',
      LC_ALL: 'C.UTF-8',
    },
  })
  assert.equal(status, 0, stderr)
  assert.equal(stderr, '')
  return stdout
}

/** The folder with the completion in it; null when there is no such shell here. */
function prepare(t: TestContext, shell: Shell): string | null {
  if (spawnSync(shell, ['-c', 'true']).status !== 0) {
    t.skip(`${shell} is not installed: apt-get install ${shell}`)
    return null
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'completion-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(path.join(folder, 'completion'), SCRIPTS[shell] ?? '')
  symlinkSync(path.resolve('bin/logpipe'), path.join(folder, 'logpipe'))
  return folder
}

function check(line: string, words: readonly string[], offers: string, not: string): void {
  assert.ok(words.includes(offers), `${line}: expected ${offers}, got ${words.join(' ')}`)
  assert.ok(!words.includes(not), `${line}: ${not} is offered`)
}

test('bash completes commands, words, options and values', (t) => {
  const folder = prepare(t, 'bash')
  if (folder === null) return
  for (const [line, offers, not] of CASES) {
    const words = line.split(' ')
    const said = run(
      'bash',
      `source completion; COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}
      _logpipe; printf '%s\\n' "\${COMPREPLY[@]}"`,
      folder,
    )
    check(line, said.split('\n'), offers, not)
  }
})

test('bash completes a value behind an equals sign, and the files of a path', (t) => {
  const folder = prepare(t, 'bash')
  if (folder === null) return
  const ask = (words: string, at: number) =>
    run(
      'bash',
      `source completion; COMP_WORDS=(${words}); COMP_CWORD=${at}
      _logpipe; echo "\${COMPREPLY[@]}"`,
      folder,
    ).trim()
  assert.equal(ask('logpipe run --mode = wor', 4), 'worker')
  assert.equal(ask('logpipe run --mode =', 3), 'worker direct')
  assert.equal(ask('logpipe run --config comple', 3), 'completion')
})

test('fish completes commands, words, options and values', (t) => {
  const folder = prepare(t, 'fish')
  if (folder === null) return
  for (const [line, offers, not] of CASES) {
    const said = run('fish', `source completion; complete -C '${line}'`, folder)
    const words = said.split('\n').map((each) => each.split('\t')[0] ?? '')
    check(line, words, offers, not)
  }
})

test('zsh completes commands, words, options and values', (t) => {
  const folder = prepare(t, 'zsh')
  if (folder === null) return
  const asks = CASES.map(([line]) => `ask '${line}'`).join('\n')
  const said = run('zsh', `${ZSH_TERMINAL}\n${asks}`, folder).split('\n')
  for (const [at, [line, offers, not]] of CASES.entries()) {
    check(line, (said[at] ?? '').split(/[ =]+/), offers, not)
  }
})

/** A zsh in a terminal: what is typed, a tab, and then the line as zsh has it. */
const ZSH_TERMINAL = `
  zmodload zsh/zpty
  zpty shell zsh -f -i
  zpty -w shell "PS1=; PS2=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D"
  zpty -w shell "source ./completion"
  zpty -w shell "show() { print -r -- '<<'\\$BUFFER'>>'; BUFFER=; zle reset-prompt }"
  zpty -w shell "zle -N show; bindkey '^X' show; LISTMAX=0; print -r -- '<<'READY'>>'"
  zpty -r shell answer '*<<READY>>*'
  ask() {
    zpty -w -n shell "$1"$'\\t\\x18'
    zpty -r shell answer '*<<*>>*'
    answer=\${answer##*<<}
    print -r -- \${answer%%>>*}
  }
`
