// Builds dist/logpipe, the program in one file, and dist/maps/, the source maps of its scripts.
//   npm run build      for x64 Linux, on x64 Linux; packaging/ has a file for each step
// The same commit gives the same bytes in every folder.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { bundleWeb } from './bin/bundle-web.mjs'
import { buildAddons } from './packaging/addons.mjs'
import { bundle } from './packaging/bundle.mjs'
import { licensesText } from './packaging/licenses.mjs'
import { pack } from './packaging/pack.mjs'
import { root, say, work } from './packaging/toolchain.mjs'

const read = (name) => fs.readFileSync(path.join(root, name), 'utf8')

/** The commit; `-dirty` behind it says that something else was built. */
function commit() {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim()
  const name = git('rev-parse', '--short=12', 'HEAD')
  if (name === undefined || name === '') return 'unknown'
  return git('status', '--porcelain') === '' ? name : `${name}-dirty`
}

function facts() {
  const sqlite = /^#define SQLITE_VERSION +"([\d.]+)"/m.exec(
    read('node_modules/better-sqlite3/deps/sqlite3/sqlite3.h'),
  )
  return {
    version: JSON.parse(read('package.json')).version,
    commit: commit(),
    librdkafka: JSON.parse(read('node_modules/@confluentinc/kafka-javascript/package.json'))
      .librdkafka,
    sqlite: sqlite?.[1] ?? 'unknown',
  }
}

if (process.platform !== 'linux' || process.arch !== 'x64') {
  say(`the executable is built on x64 Linux, not on ${process.arch} ${process.platform}`)
  process.exit(1)
}
const dist = path.join(root, 'dist')
const output = path.join(dist, 'logpipe')
const scripts = path.join(work, 'js')
const built = facts()
const addons = await buildAddons()
const web = path.join(work, 'web')
const files = [...(await bundle(scripts)), ...(await bundleWeb(web))]
fs.rmSync(dist, { recursive: true, force: true })
fs.mkdirSync(path.join(dist, 'maps'), { recursive: true })
await pack(
  {
    scripts,
    addons,
    web,
    facts: built,
    licenses: licensesText(files, built),
  },
  output,
)
for (const name of fs.readdirSync(scripts).filter((one) => one.endsWith('.map'))) {
  fs.copyFileSync(path.join(scripts, name), path.join(dist, 'maps', name))
}
const megabytes = (fs.statSync(output).size / 1e6).toFixed(1)
say(`dist/logpipe: logpipe ${built.version} (commit ${built.commit}), ${megabytes} MB`)
