/**
 * Somebody else saved while this form was being filled in: what they changed, and what happens now.
 */
import { useEffect, useRef } from 'preact/hooks'
import { ChangeList } from './change-list.tsx'
import type { Change } from '../form/form-values.ts'

interface Props {
  readonly changes: readonly Change[]
  readonly onDiscard: () => void
}

export function ConflictNotice({ changes, onDiscard }: Props) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => box.current?.focus(), [])
  return (
    <div class="banner banner-warn" role="alert" tabIndex={-1} ref={box} data-test="conflict">
      <p>
        <strong>This pipeline was changed while you edited it. Nothing was saved.</strong>
      </p>
      {changes.length === 0 ? (
        <p>Nothing that is shown here changed.</p>
      ) : (
        <>
          <p>The other change:</p>
          <ChangeList changes={changes} />
        </>
      )}
      <p>The form now shows the newest settings with your changes applied. Review it, then save.</p>
      <button type="button" class="button" onClick={onDiscard}>
        Discard my changes
      </button>
    </div>
  )
}
