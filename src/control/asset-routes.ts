/**
 * The dashboard's files, from memory: they are built into the program, and no path reaches a disk.
 */
import type { MiddlewareHandler } from 'hono'
import { createHash } from 'node:crypto'

export interface Asset {
  /** The content type. */
  readonly type: string
  readonly body: string | Uint8Array<ArrayBuffer>
}

/** By path; `/` is the page. */
export type Assets = ReadonlyMap<string, Asset>

/** Answers what is an asset, and passes on the rest. */
export function assetRoutes(assets: Assets): MiddlewareHandler {
  const tags = new Map(
    [...assets].map(([path, { body }]) => [
      path,
      `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    ]),
  )
  return async (c, next) => {
    const asset = assets.get(c.req.path)
    if (asset === undefined || (c.req.method !== 'GET' && c.req.method !== 'HEAD')) {
      await next()
      return
    }
    const etag = tags.get(c.req.path) ?? ''
    const headers = { 'content-type': asset.type, 'cache-control': 'no-cache', etag }
    c.res =
      c.req.header('if-none-match') === etag
        ? c.body(null, 304, headers)
        : c.body(asset.body, 200, headers)
  }
}
