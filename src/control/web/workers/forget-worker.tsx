/**
 * Takes a lost worker off the list.
 */
import { request } from '../data/api.ts'
import type { Worker } from '../data/api-types.ts'
import { ConfirmDialog } from '../parts/confirm-dialog.tsx'
import { useLive } from '../data/live.tsx'
import { useNotices } from '../parts/notices.tsx'

interface Props {
  readonly worker: Worker
  readonly onClose: () => void
}

export function ForgetWorker({ worker, onClose }: Props) {
  const { refresh } = useLive()
  const { tell } = useNotices()
  const forget = async (): Promise<void> => {
    await request('DELETE', `/api/workers/${encodeURIComponent(worker.id)}`)
    tell(`${worker.id} removed`)
    await refresh()
  }
  return (
    <ConfirmDialog
      title={`Forget ${worker.id}?`}
      confirm="Forget"
      isDangerous
      onConfirm={forget}
      onClose={onClose}
    >
      <p>The control plane has lost contact with it. If it calls again, it returns to the list.</p>
    </ConfirmDialog>
  )
}
