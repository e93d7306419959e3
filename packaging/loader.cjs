// Runs the scripts inside the executable: its main script, and the script of every thread, which is
// why the whole of it lies among the assets, too. A script is compiled when it is first asked for,
// so that `logpipe --version` compiles a few kilobytes only.
'use strict'
const { createRequire } = require('node:module')
const { getAsset } = require('node:sea')
const { compileFunction } = require('node:vm')
const { isMainThread } = require('node:worker_threads')

const fromNode = createRequire(process.execPath)
const loaded = new Map()

function load(name) {
  if (!name.startsWith('./')) return fromNode(name)
  const known = loaded.get(name)
  if (known !== undefined) return known.exports
  const module = { exports: {} }
  // Before it runs: two scripts may ask for one another.
  loaded.set(name, module)
  const parameters = ['module', 'exports', 'require', '__filename', '__dirname']
  const script = `js/${name.slice(2)}`
  const run = compileFunction(getAsset(script, 'utf8'), parameters, { filename: script })
  run(module, module.exports, load, script, 'js')
  return module.exports
}

load(isMainThread ? './main.js' : './thread-entry.js')
