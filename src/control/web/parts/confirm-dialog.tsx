/**
 * A question before something that cannot be taken back. The browser's own dialog: it keeps the
 * focus inside, closes by Escape, and gives the focus back.
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../data/api.ts'

interface Props {
  readonly title: string
  readonly confirm: string
  readonly isDangerous?: boolean
  readonly children: ComponentChildren
  /** The dialog closes when it succeeds, and shows what it throws. */
  readonly onConfirm: () => Promise<void>
  readonly onClose: () => void
}

export function ConfirmDialog(props: Props) {
  const { title, confirm, isDangerous = false, children, onConfirm, onClose } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  useEffect(() => dialog.current?.showModal(), [])
  const act = async (): Promise<void> => {
    setBusy(true)
    setError(undefined)
    try {
      await onConfirm()
      dialog.current?.close()
    } catch (failure) {
      setError(messageOf(failure))
      setBusy(false)
    }
  }
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void act()
        }}
      >
        <h2 id="dialog-title">{title}</h2>
        <div class="dialog-body">{children}</div>
        {error !== undefined && (
          <p class="fault" role="alert">
            {error}
          </p>
        )}
        <div class="actions">
          <button type="button" class="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button
            type="submit"
            class={`button ${isDangerous ? 'button-danger' : 'button-main'}`}
            disabled={busy}
          >
            {confirm}
          </button>
        </div>
      </form>
    </dialog>
  )
}
