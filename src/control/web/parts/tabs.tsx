/**
 * The views of one pipeline. On a narrow screen they scroll, and the present one is in sight.
 */
import { useEffect, useRef } from 'preact/hooks'
import type { Pipeline } from '../data/api-types.ts'
import { pipelineHref, TABS, type Tab } from '../data/route.ts'

const TAB_NAMES: Readonly<Record<Tab, string>> = {
  overview: 'Overview',
  tail: 'Live tail',
  letters: 'Dead letters',
  settings: 'Settings',
  revisions: 'Revisions',
}

interface Props {
  readonly pipeline: Pick<Pipeline, 'id' | 'name'>
  readonly tab: Tab
}

export function Tabs({ pipeline, tab }: Props) {
  const bar = useRef<HTMLElement>(null)
  useEffect(() => {
    const present = bar.current?.querySelector('[aria-current]')
    present?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [tab])
  return (
    <nav class="tabs" aria-label={`About ${pipeline.name}`} ref={bar}>
      {TABS.map((each) => (
        <a
          key={each}
          href={pipelineHref(pipeline.id, each)}
          aria-current={each === tab ? 'page' : undefined}
        >
          {TAB_NAMES[each]}
        </a>
      ))}
    </nav>
  )
}
