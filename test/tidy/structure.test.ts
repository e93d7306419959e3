/**
 * The rules of the house, as a test: no lone fragments, no circles of imports, and whatever a
 * comment or a document names is there.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { COMMANDS, PLAIN_COMMANDS } from '../../src/options/commands.ts'

/** A smaller file that one other file imports goes home to it. */
const FRAGMENT_LINES = 80

/** Small files that stay alone, and why. The dashboard's are not asked: a file a component. */
const ALONE: ReadonlyMap<string, string> = new Map([
  ['src/cli/dispatch.ts', 'main.ts runs when it is imported; tests import this'],
  [
    'src/options/render-readme.ts',
    'bin/write-readme.ts runs when it is imported; tests import this',
  ],
  ['src/filter/matchers.ts', 'the half of the filter that main has'],
  ['src/sink/none-sink.ts', 'one file for each output'],
])

const read = (file: string): string => readFileSync(file, 'utf8')
const sources = globSync('src/**/*.{ts,tsx}').sort()
const isDashboard = (file: string): boolean => file.startsWith('src/control/web/')

/** Files of src/ by those that name them in an import at the top, types included. */
const importsOf = new Map(
  sources.map((file) => {
    const targets = [
      ...read(file).matchAll(/^(?:import|export)\b[^;]*?from '(\.[^']+)'|^import '(\.[^']+)'/gm),
    ]
    const paths = targets.map(([, named = '', bare = '']) =>
      path.posix.join(path.posix.dirname(file), named === '' ? bare : named),
    )
    return [file, paths.filter((target) => sources.includes(target))] as const
  }),
)

test('a small file that one other file imports has gone home to it', () => {
  const importers = new Map<string, string[]>()
  for (const [file, targets] of importsOf) {
    for (const target of new Set(targets)) {
      importers.set(target, [...(importers.get(target) ?? []), file])
    }
  }
  const lone = [...importers].filter(
    ([file, by]) =>
      by.length === 1 && !isDashboard(file) && read(file).split('\n').length <= FRAGMENT_LINES,
  )
  const faults = lone
    .filter(([file]) => !ALONE.has(file))
    .map(([file, by]) => `${file} goes home to ${by.join()}`)
  assert.deepEqual(faults, [])
})

test('files that stay alone exist', () => {
  assert.deepEqual(
    [...ALONE.keys()].filter((file) => !existsSync(file)),
    [],
  )
})

test('imports have no circle, types included', () => {
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file)
    if (at !== -1) {
      circles.push([...way.slice(at), file].join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const target of importsOf.get(file) ?? []) visit(target, [...way, file])
    done.add(file)
  }
  for (const file of sources) visit(file, [])
  assert.deepEqual(circles, [])
})

/** Everything in the repository that people wrote; test/stack is a project of its own. */
const written = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && existsSync(file) && !file.startsWith('test/stack/'))
const documents = written.filter((file) => file.endsWith('.md') && file !== 'CHANGELOG.md')
const commented = written.filter((file) => /\.(ts|tsx|mjs|cjs|cc|h)$/.test(file))

/** `pool/layout.ts` names src/pool/layout.ts: whatever a path ends with. */
const endings = new Set(
  written.flatMap((file) => {
    const parts = file.split('/')
    return parts.map((_, index) => parts.slice(index).join('/'))
  }),
)
const folders = new Set(written.flatMap((file) => parentsOf(file)))

function parentsOf(file: string): string[] {
  const parent = path.posix.dirname(file)
  return parent === '.' ? [] : [parent, ...parentsOf(parent)]
}

/** Names that stand for any file, are made elsewhere, or belong to others. */
const NO_FILES = /^(FILE|x|a\/b|.*\/x|.*\/a\/b)\.|^(table|CONFIGURATION)\.md$|^js\/loader\.cjs$/

function commentsOf(text: string): string {
  return [...text.matchAll(/\/\*[^]*?\*\/|(?:^|\s)\/\/.*$/gm)].map(([all]) => all).join('\n')
}

const NAMED_FILE = new RegExp(
  String.raw`(?<![\w/.@*{-])((?:[\w.-]+/)*[\w-][\w.-]*\.(?:ts|tsx|mjs|cjs|cc|md))\b(?![\w(*])`,
  'g',
)

test('comments and documents name files that exist', () => {
  const faults = [...commented, ...documents].flatMap((file) => {
    const text = file.endsWith('.md') ? read(file) : commentsOf(read(file))
    return [...text.matchAll(NAMED_FILE)]
      .map(([, name = '']) => name.replace(/^\.\//, ''))
      .filter((name) => !endings.has(name) && !NO_FILES.test(name))
      .map((name) => `${file} names ${name}`)
  })
  assert.deepEqual(faults, [])
})

test('comments and documents name commands that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: object }
  const commands = new Set(
    [...COMMANDS, ...PLAIN_COMMANDS].map(({ name }) => name.split(' ')[0] ?? ''),
  )
  const faults = [...commented, ...documents].flatMap((file) => {
    const text = file.endsWith('.md') ? read(file) : commentsOf(read(file))
    const ofNpm = [...text.matchAll(/npm run ([a-z][a-z:-]*)/g)]
      .filter(([, name = '']) => !Object.hasOwn(scripts, name))
      .map(([all]) => `${file} names ${all}`)
    const ofOurs = [...text.matchAll(/`logpipe ([a-z][a-z-]*)/g)]
      .filter(([, name = '']) => !commands.has(name))
      .map(([all]) => `${file} names ${all}`)
    return [...ofNpm, ...ofOurs]
  })
  assert.deepEqual(faults, [])
})

test('every npm script has its line in npm run help', async () => {
  const help = path.resolve('bin/help.mjs')
  const { SCRIPTS } = (await import(help)) as { readonly SCRIPTS: object }
  const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: object }
  assert.deepEqual(Object.keys(SCRIPTS).sort(), Object.keys(scripts).sort())
})

test('every path on the map is there', () => {
  const ours = [...folders]
    .filter((folder) => /^src\/[^/]+$/.test(folder))
    .map((name) => name.slice(4))
  const mentions = read('src/README.md').matchAll(/(?<![\w/.-])([a-z][\w.-]*(?:\/[\w.-]+)*\/?)/g)
  const faults = [...mentions]
    .map(([, name = '']) => name.replace(/[/.]$/, ''))
    .filter((name) => name.includes('/') && ours.includes(name.split('/')[0] ?? ''))
    .filter((name) => !folders.has(`src/${name}`) && !written.includes(`src/${name}`))
    // `kafka/ingress-thread` in the drawing: without its extension.
    .filter((name) => !written.includes(`src/${name}.ts`))
  assert.deepEqual(faults, [])
})
