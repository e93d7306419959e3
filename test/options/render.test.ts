/** Help and README say what the table says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { COMMANDS } from '../../src/options/commands.ts'
import { parseConfigFile } from '../../src/options/config-file.ts'
import { renderHelp, renderOverview } from '../../src/options/render-help.ts'
import { fillOptionTables } from '../../src/options/render-readme.ts'
import { COMMAND_NAMES, flagOf, GROUPS, namesOf, variablesOf } from '../../src/options/spec.ts'
import { ROWS } from '../../src/options/table.ts'

const readme = readFileSync('README.md', 'utf8')

test('the README has the tables that the options make (bin/write-readme.ts writes them)', () => {
  assert.equal(fillOptionTables(readme), readme)
})

test('every option and every group is in the README', () => {
  for (const group of Object.keys(GROUPS)) assert.ok(readme.includes(`<!-- options:${group} -->`))
  for (const row of ROWS) assert.ok(readme.includes(`| \`${variablesOf(row)[0]}\``), row.env)
})

test("the README's config files are such that can be read", () => {
  const files = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml = '']) =>
    parseConfigFile('run', 'README', yaml),
  )
  assert.ok(Math.max(...files.map((given) => given.length)) > 10)
  assert.ok(Math.min(...files.map((given) => given.length)) > 0)
})

test('every command is in the table of commands, and in its order', () => {
  assert.deepEqual(
    COMMANDS.map((command) => command.name),
    COMMAND_NAMES,
  )
  const overview = renderOverview(COMMANDS, 80)
  for (const { name, summary } of COMMANDS) {
    assert.ok(overview.includes(`  ${name} `) && overview.includes(summary), name)
  }
})

test('both helps of a command have each of its options and no other', () => {
  for (const command of COMMAND_NAMES) {
    const long = renderHelp(command, 'long', 100)
    const short = renderHelp(command, 'short', 100)
    for (const row of ROWS) {
      const isOwn = row.commands.includes(command)
      const isThere = new RegExp(`Variable: ${variablesOf(row)[0]}\\b`).test(long)
      assert.equal(isThere, isOwn, `${command}: ${row.env}`)
      if (!isOwn) continue
      assert.match(long, new RegExp(`--${flagOf(row.env)}\\b`))
      assert.match(short, new RegExp(`--${namesOf(row)[0]}\\b`))
    }
  }
})

test('the help fits the terminal', () => {
  for (const width of [60, 80, 200]) {
    for (const command of COMMAND_NAMES) {
      for (const form of ['short', 'long'] as const) {
        for (const line of renderHelp(command, form, width).split('\n')) {
          // An example is one command line, whatever its length.
          if (line.startsWith('    logpipe') || /^ +[A-Z_]+=\S+ /.test(line)) continue
          const isOneWord = !line.trim().includes(' ')
          const fits = isOneWord || line.length <= Math.min(width, 100)
          assert.ok(fits, `${command} at ${width}: ${line}`)
        }
      }
    }
  }
})

test('the long help of run reads like a manual', () => {
  const help = renderHelp('run', 'long', 80)
  for (const heading of ['NAME', 'USAGE', 'DESCRIPTION', 'EXAMPLES', 'OPTIONS', 'EXIT STATUS']) {
    assert.match(help, new RegExp(`^${heading}$`, 'm'))
  }
  assert.match(help, /^ {4}-p TEXT, --pattern TEXT, --match-pattern TEXT$/m)
  assert.match(help, /^ {8}Variable: MATCH_PATTERN\. Default: ERROR\. SIGHUP reloads it\.$/m)
})
