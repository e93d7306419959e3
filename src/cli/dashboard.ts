/**
 * The dashboard's files, read once at the start of `logpipe control`.
 *
 * Set-up bundles src/control/web into build/web, `npm run build` into the executable: plain files,
 * of which index.html is served as / and every other one as /assets/NAME.
 */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Asset, Assets } from '../control/asset-routes.ts'
import { isPacked, packedFiles } from '../core/program-files.ts'

/** Files by their names. */
type DashboardFiles = ReadonlyMap<string, Uint8Array<ArrayBuffer>>

const TYPES: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
])

const MISSING =
  'This is the control plane of logpipe. Its dashboard was not built: run `npm run setup`.\n' +
  'The API is under /api, its description at /openapi.json.\n'

/** What is there to be served; a page that says what to do when nothing is. */
export function readDashboard(folder?: URL): Assets {
  const files = folder === undefined ? ownFiles() : filesIn(folder)
  if (!files.has('index.html')) {
    return new Map([['/', { type: 'text/plain; charset=utf-8', body: MISSING }]])
  }
  return new Map(
    [...files].flatMap(([name, body]): [string, Asset][] => {
      const type = TYPES.get(path.extname(name))
      if (type === undefined) return []
      return [[name === 'index.html' ? '/' : `/assets/${name}`, { type, body }]]
    }),
  )
}

function ownFiles(): DashboardFiles {
  if (isPacked()) return packedFiles('web')
  return filesIn(new URL('../../build/web', import.meta.url))
}

function filesIn(folder: URL): DashboardFiles {
  try {
    return new Map(
      readdirSync(folder).map((name) => [
        name,
        new Uint8Array(readFileSync(new URL(name, folder))),
      ]),
    )
  } catch {
    // A checkout without set-up; the API works without a dashboard.
    return new Map()
  }
}
