/**
 * What differs between two revisions, field by field.
 */
import type { Change } from '../form/form-values.ts'

export function ChangeList({ changes }: { readonly changes: readonly Change[] }) {
  if (changes.length === 0) return <p class="muted">No differences.</p>
  return (
    <ul class="changes">
      {changes.map(({ field, before, after }) => (
        <li key={field}>
          <code>{field}</code>{' '}
          <span class="change">
            <del>{shown(before)}</del> <span aria-hidden="true">→</span> <ins>{shown(after)}</ins>
          </span>
        </li>
      ))}
    </ul>
  )
}

function shown(text: string): string {
  return text === '' ? 'default' : text.replaceAll('\n', ', ')
}
