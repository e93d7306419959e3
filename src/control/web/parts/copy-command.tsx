/**
 * A command to be typed elsewhere, with a button that copies it.
 */
import { useNotices } from './notices.tsx'

export function CopyCommand({ command }: { readonly command: string }) {
  const { tell } = useNotices()
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(command)
      tell('Command copied')
    } catch {
      // Without TLS a browser lends its clipboard to pages of this very machine only.
      tell('The browser refused to copy: select the command and copy it yourself', 'bad')
    }
  }
  return (
    <div class="command">
      <code>{command}</code>
      <button type="button" class="button" onClick={() => void copy()}>
        Copy
      </button>
    </div>
  )
}
