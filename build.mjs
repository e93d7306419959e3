// Bundles src/ into dist/: the program in one script, its threads in a second, shared code in chunks;
// the dashboard's files into dist/web.
//   npm run build      then: build/node dist/main.mjs --version
// The add-ons stay where set-up has built them (build/, node_modules/): dist/ belongs to its checkout.
import { build } from 'esbuild'
import fs from 'node:fs'
import path from 'node:path'
import { bundleWeb } from './bin/bundle-web.mjs'

const root = import.meta.dirname
const dist = path.join(root, 'dist')
const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))

/** What names a file beside its source, and what the bundle has in its place. */
const replacements = [
  ['src/run/threads.ts', "'./thread-entry.ts'", "'./thread-entry.mjs'"],
  ['src/bridge/load.ts', "'../../build/bridge.node'", "'../build/bridge.node'"],
  ['src/cli/dashboard.ts', "'../../build/web/'", "'./web/'"],
  ['src/cli/version.ts', "'../../package.json'", "'../package.json'"],
]

const replacePaths = {
  name: 'replace-paths',
  setup(builder) {
    for (const [file, from, to] of replacements) {
      const filter = new RegExp(`${file.replaceAll('.', '\\.')}$`)
      builder.onLoad({ filter }, ({ path: name }) => {
        const source = fs.readFileSync(name, 'utf8')
        if (!source.includes(from)) throw new Error(`${file} no longer names ${from}`)
        return { contents: source.replace(from, to), loader: 'ts' }
      })
    }
  },
}

fs.rmSync(dist, { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/cli/main.ts', 'thread-entry': 'src/run/thread-entry.ts' },
  outdir: dist,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  sourcemap: true,
  legalComments: 'none',
  // Native code cannot be bundled; CommonJS packages call require.
  external: ['@confluentinc/kafka-javascript', 'better-sqlite3'],
  banner: {
    js: "import { createRequire as $r } from 'node:module'; const require = $r(import.meta.url);",
  },
  plugins: [replacePaths],
  logLevel: 'warning',
})
await bundleWeb(path.join(dist, 'web'))
const bytes = fs
  .readdirSync(dist)
  .filter((name) => name.endsWith('.mjs'))
  .reduce((sum, name) => sum + fs.statSync(path.join(dist, name)).size, 0)
process.stderr.write(
  `build: logpipe ${version} in dist/, ${(bytes / 1e6).toFixed(1)} MB of script\n`,
)
