/**
 * The heading of a page with what can be done there; it takes the focus when the page opens.
 */
import type { ComponentChildren } from 'preact'
import { useTitle } from '../data/use-route.ts'

interface Props {
  readonly title: string
  /** Beside the title: a state, a count. */
  readonly aside?: ComponentChildren
  /** Below it: a sentence. */
  readonly note?: ComponentChildren
  readonly children?: ComponentChildren
}

export function PageHead({ title, aside, note, children }: Props) {
  useTitle(title)
  return (
    <div class="page-head">
      <div class="page-title">
        <h1 tabIndex={-1}>{title}</h1>
        {aside}
      </div>
      {children !== undefined && <div class="actions">{children}</div>}
      {note !== undefined && <p class="page-note">{note}</p>}
    </div>
  )
}
