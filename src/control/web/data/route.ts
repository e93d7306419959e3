/**
 * The pages, by what stands behind the # of the address: links work, and no server has to know.
 *
 *   #/                        pipelines
 *   #/new                     a new pipeline
 *   #/pipelines/3             one pipeline; /tail, /letters, /settings, /revisions: its other tabs
 *   #/workers                 workers
 *   #/metrics                 charts of everything; /3: of one pipeline
 */

export const TABS = ['overview', 'tail', 'letters', 'settings', 'revisions'] as const
export type Tab = (typeof TABS)[number]

export type Route =
  | { readonly page: 'pipelines' | 'new' | 'workers' | 'unknown' }
  | { readonly page: 'metrics'; readonly id: number }
  | { readonly page: 'pipeline'; readonly id: number; readonly tab: Tab }

export function routeOf(hash: string): Route {
  const [first = '', second, third, ...more] = hash.replace(/^#?\/?/, '').split('/')
  if (more.length > 0) return { page: 'unknown' }
  if (first === '' && second === undefined) return { page: 'pipelines' }
  if ((first === 'new' || first === 'workers') && second === undefined) return { page: first }
  if (first === 'metrics' && third === undefined) {
    if (second === undefined) return { page: 'metrics', id: 0 }
    return /^\d+$/.test(second) ? { page: 'metrics', id: Number(second) } : { page: 'unknown' }
  }
  if (first !== 'pipelines' || second === undefined || !/^[1-9]\d*$/.test(second)) {
    return { page: 'unknown' }
  }
  const tab = TABS.find((each) => each === (third ?? 'overview'))
  return tab === undefined ? { page: 'unknown' } : { page: 'pipeline', id: Number(second), tab }
}

export function pipelineHref(id: number, tab: Tab = 'overview'): string {
  return tab === 'overview' ? `#/pipelines/${id}` : `#/pipelines/${id}/${tab}`
}
