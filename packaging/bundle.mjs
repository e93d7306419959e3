// Bundles src/ for the executable: scripts that load one another by name (loader.cjs), one map for
// each beside them.
//
// Two steps. esbuild's splitting keeps what is loaded later, and what main and threads share, in
// chunks of their own, but knows ECMAScript modules only, which an executable cannot load from
// memory; so each chunk is then turned into CommonJS.
import { build, transform } from 'esbuild'
import fs from 'node:fs'
import path from 'node:path'
import { root } from './toolchain.mjs'

/** Packages that look for their add-on on disk ask the program for it. */
const ADD_ONS = [
  [/@confluentinc\/kafka-javascript\/librdkafka\.js$/, 'module.exports = addon("kafka")'],
  [/better-sqlite3\/lib\/binding\.js$/, 'exports.getBinding = () => addon("sqlite")'],
]
/** By a path from the root: what is named becomes part of the bytes. */
const FIND_ADDON = `
  const { packedAddon } = require('./src/core/program-files.ts')
  const addon = (name) => {
    const file = packedAddon(name)
    return require('node:module').createRequire(file)(file)
  }
`

const insideAddons = {
  name: 'inside-addons',
  setup(builder) {
    for (const [filter, text] of ADD_ONS) {
      builder.onLoad({ filter }, () => ({
        contents: FIND_ADDON + text,
        loader: 'js',
        resolveDir: root,
      }))
    }
  },
}

/**
 * @param {string} folder where the scripts and their maps are written
 * @returns {Promise<readonly string[]>} the files that went into it, from the checkout
 */
export async function bundle(folder) {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: { main: 'src/cli/main.ts', 'thread-entry': 'src/run/thread-entry.ts' },
    outdir: 'js',
    chunkNames: 'chunk-[hash]',
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    sourcemap: 'inline',
    sourcesContent: true,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    plugins: [insideAddons],
    // Only a checkout asks where its files are.
    define: { 'import.meta.url': '"file:///"', 'import.meta.dirname': '"/"' },
    logLevel: 'warning',
  })
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  for (const file of outputFiles) {
    const name = path.basename(file.path)
    const { code, map } = await transform(file.text, {
      format: 'cjs',
      platform: 'node',
      target: 'node24',
      // Loaded by our require, not by Node's loader.
      supported: { 'dynamic-import': false },
      minifyWhitespace: true,
      sourcefile: name,
      sourcemap: 'external',
      logLevel: 'error',
    })
    fs.writeFileSync(path.join(folder, name), code)
    fs.writeFileSync(path.join(folder, `${name}.map`), map)
  }
  fs.copyFileSync(path.join(import.meta.dirname, 'loader.cjs'), path.join(folder, 'loader.cjs'))
  return Object.keys(metafile.inputs)
}
