/**
 * One pipeline: its state, and the tabs below.
 */
import type { Pipeline } from '../data/api-types.ts'
import { LettersPanel } from '../pipeline/letters-panel.tsx'
import { useLive } from '../data/live.tsx'
import { OverviewPanel } from '../pipeline/overview-panel.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { RevisionsPanel } from '../pipeline/revisions-panel.tsx'
import type { Tab } from '../data/route.ts'
import { SettingsPanel } from '../pipeline/settings-panel.tsx'
import { StartStop } from '../pipeline/start-stop.tsx'
import { StartWorker } from '../workers/start-worker.tsx'
import { StateBadge } from '../parts/state-badge.tsx'
import { pipelineTone } from '../parts/states.ts'
import { Tabs } from '../parts/tabs.tsx'
import { TailPanel } from '../pipeline/tail-panel.tsx'

export function PipelinePage({ id, tab }: { readonly id: number; readonly tab: Tab }) {
  const { pipelines, workers } = useLive()
  if (pipelines === undefined) return <PageHead title={`Pipeline ${id}`} note="Loading…" />
  const pipeline = pipelines.find((each) => each.id === id)
  if (pipeline === undefined) {
    return (
      <>
        <PageHead title={`There is no pipeline ${id}`} />
        <p>
          It may have been deleted. <a href="#/">See all pipelines.</a>
        </p>
      </>
    )
  }
  const { name, status } = pipeline
  return (
    <>
      <PageHead
        title={name}
        aside={<StateBadge state={status.state} tone={pipelineTone(status.state)} />}
        note={status.reason ?? undefined}
      >
        <StartStop pipeline={pipeline} isMain />
      </PageHead>
      {status.state === 'pending' && !workers.some(({ live }) => live) && (
        <StartWorker>It waits for a worker. Start one with this command:</StartWorker>
      )}
      <Tabs pipeline={pipeline} tab={tab} />
      <Panel pipeline={pipeline} tab={tab} />
    </>
  )
}

function Panel({ pipeline, tab }: { readonly pipeline: Pipeline; readonly tab: Tab }) {
  switch (tab) {
    case 'overview':
      return <OverviewPanel pipeline={pipeline} />
    case 'tail':
      return <TailPanel pipeline={pipeline} />
    case 'letters':
      return <LettersPanel pipeline={pipeline} />
    case 'settings':
      return <SettingsPanel id={pipeline.id} />
    case 'revisions':
      return <RevisionsPanel pipeline={pipeline} />
  }
}
