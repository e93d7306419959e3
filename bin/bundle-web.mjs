// Bundles the dashboard (src/control/web) into a folder of plain files: index.html, app.js, app.css, icon.svg.
//   node bin/bundle-web.mjs FOLDER
// Set-up calls it for build/web, build.mjs for the executable; src/cli/control.ts reads what it leaves.
import { build } from 'esbuild'
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const root = path.resolve(import.meta.dirname, '..')
const web = path.join(root, 'src/control/web')

/** @returns {Promise<readonly string[]>} the files that went into it, from the checkout */
export async function bundleWeb(folder) {
  fs.rmSync(folder, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { app: path.join(web, 'main.tsx') },
    outdir: folder,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    // What has light-dark() and AbortSignal.any: Chrome 123, Firefox 124, Safari 17.5 and later.
    target: ['chrome123', 'firefox124', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    sourcemap: false,
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  })
  for (const name of ['index.html', 'icon.svg']) {
    fs.copyFileSync(path.join(web, name), path.join(folder, name))
  }
  return Object.keys(metafile.inputs)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [folder] = process.argv.slice(2)
  if (folder === undefined) {
    process.stderr.write('usage: node bin/bundle-web.mjs FOLDER\n')
    process.exit(2)
  }
  await bundleWeb(path.resolve(folder))
}
