/**
 * The rules of the code, as a test: sizes, headers, names, layers, and what must not be written.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

const FILE_LINES_MAX = 600
const FUNCTION_LINES_MAX = 70
const COLUMNS_MAX = 100

/** Tables may be long; logic may not. */
const TABLES = new Set([
  'src/options/table.ts',
  'src/options/commands.ts',
  'src/options/topics.ts',
  'src/core/errors.ts',
  'src/bridge/bridge.ts',
])

/** A file imports its own folder or a lower rank; stages (rank 3) never import one another. */
const RANKS: ReadonlyMap<string, number> = new Map([
  ['core', 0],
  ['options', 1],
  ['pool', 1],
  ['bridge', 2],
  ['kafka', 3],
  ['filter', 3],
  ['sink', 3],
  ['offsets', 3],
  ['metrics', 3],
  ['run', 4],
  ['control', 4],
  ['sync', 4],
  ['bench', 5],
  ['demo', 5],
  ['cli', 6],
])

const sources = globSync('src/**/*.{ts,tsx}').sort()
const native = globSync('src/bridge/native/*.{cc,h}').sort()
const tests = globSync('test/**/*.ts', { exclude: (name) => name.startsWith('test/stack') }).sort()
const read = (file: string) => readFileSync(file, 'utf8')

function check(
  name: string,
  files: readonly string[],
  findFaults: (file: string) => string[],
): void {
  test(name, () => {
    const faults = files.flatMap((file) => findFaults(file).map((fault) => `${file}: ${fault}`))
    assert.deepEqual(faults, [])
  })
}

const FUNCTION_OPENS = new RegExp(
  String.raw`^(\s*)(?:export |async |static |override |get |set |#?[A-Za-z_$][\w$]* = )*` +
    String.raw`(?:function|(?!(?:if|for|while|switch|catch|return)\b)` +
    String.raw`#?[A-Za-z_$][\w$]*(?:<[^>]*>)?\()`,
)

/** [first line, line count] of each function, by indentation: the formatter guarantees it. */
function functionSizes(text: string): { line: number; lines: number }[] {
  const lines = text.split('\n')
  const sizes: { line: number; lines: number }[] = []
  lines.forEach((line, index) => {
    const opens = FUNCTION_OPENS.exec(line)
    if (opens === null || !/[{(]$/.test(line)) return
    const indent = opens[1] ?? ''
    const rest = lines.slice(index + 1)
    const end = rest.findIndex(
      (later) => later.startsWith(`${indent}}`) && !later.startsWith(`${indent}} {`),
    )
    // A call's closing bracket comes first when this was no function.
    const call = rest.findIndex((later) => later.startsWith(`${indent})`) && !later.endsWith('{'))
    if (end !== -1 && (call === -1 || end < call)) sizes.push({ line: index + 1, lines: end + 2 })
  })
  return sizes
}

check('every file opens with a comment that says what it owns', [...sources, ...native], (file) =>
  /^(#!.*\n)?\/(\*\*|\/)/.test(read(file)) ? [] : ['no opening comment'],
)

check(`files have at most ${FILE_LINES_MAX} lines, tables excepted`, sources, (file) => {
  const count = read(file).split('\n').length
  return TABLES.has(file) || count <= FILE_LINES_MAX + 1 ? [] : [`${count} lines`]
})

check(`functions have at most ${FUNCTION_LINES_MAX} lines`, sources, (file) =>
  functionSizes(read(file))
    .filter((size) => size.lines > FUNCTION_LINES_MAX)
    .map((size) => `line ${size.line}: a function of ${size.lines} lines`),
)

check(`lines have at most ${COLUMNS_MAX} columns`, [...sources, ...native, ...tests], (file) =>
  TABLES.has(file)
    ? []
    : read(file)
        .split('\n')
        .flatMap((line, index) =>
          line.length > COLUMNS_MAX && !/https?:/.test(line)
            ? [`line ${index + 1}: ${line.length} columns`]
            : [],
        ),
)

check('file names are kebab-case and say something', sources, (file) => {
  const name = path.basename(file)
  const faults: string[] = []
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)?\.tsx?$/.test(name)) faults.push('not kebab-case')
  if (/^(utils|common|helpers|types|index)\.tsx?$/.test(name))
    faults.push('a name that says nothing')
  return faults
})

check('imports go inward only, by file and with extension', sources, (file) => {
  const folder = file.split('/')[1] ?? ''
  const rank = RANKS.get(folder)
  if (rank === undefined) return [`the folder ${folder} has no rank`]
  return [...read(file).matchAll(/from '(\.[^']+)'/g)].flatMap(([, target = '']) => {
    const faults: string[] = []
    if (!/\.(ts|tsx|json|css)$/.test(target)) faults.push(`${target} has no extension`)
    const other = path.posix.join(path.posix.dirname(file), target).split('/')[1] ?? ''
    const otherRank = RANKS.get(other)
    if (other === folder) return faults
    if (otherRank === undefined || otherRank >= rank) faults.push(`imports ${target} (${other})`)
    return faults
  })
})

const FORBIDDEN: readonly (readonly [pattern: RegExp, why: string, except?: RegExp])[] = [
  [/\bprocess\.exit\(|process\.exitCode/, 'exits (only cli/main.ts may)', /^src\/cli\/main\.ts$/],
  [/\bprocess\.(env|argv)\b/, 'reads argv or env (only cli/ may)', /^src\/cli\//],
  [/\bnew Error\(/, 'throws a bare Error: use LogpipeError or an assertion'],
  [/@ts-(ignore|nocheck|expect-error)/, 'a suppressed type error'],
  [/\b(TODO|FIXME|XXX|HACK)\b/, 'a leftover'],
  [/^\s*(export )?(const )?enum |^\s*namespace /m, 'enum or namespace'],
  [/catch\s*(\([^)]*\))?\s*\{\s*\}/, 'an empty catch that does not say why'],
]

check('nothing forbidden is written', sources, (file) =>
  FORBIDDEN.filter(([pattern, , except]) => pattern.test(read(file)) && !except?.test(file)).map(
    ([, why]) => why,
  ),
)

check('test names are sentences', tests, (file) =>
  [...read(file).matchAll(/\btest\(\s*'([^']*)'/g)]
    .filter(([, name = '']) => name.split(' ').length < 3)
    .map(([, name = '']) => `"${name}"`),
)
