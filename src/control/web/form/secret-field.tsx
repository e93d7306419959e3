/**
 * A secret: it is written and never read back, so all that is known is whether there is one.
 */
import type { Option } from '../data/api-types.ts'
import { fieldId } from './option-field.tsx'
import { labelOf } from './option-labels.ts'

interface Props {
  readonly option: Option
  readonly isSet: boolean
  /** '' keeps what is stored, null removes it. */
  readonly value: string | null
  readonly fault: string | undefined
  readonly onChange: (value: string | null) => void
}

export function SecretField({ option, isSet, value, fault, onChange }: Props) {
  const id = fieldId(option.field)
  const stored = isSet
    ? 'A value is stored. Leave this empty to keep it.'
    : 'No value is stored. Once saved, it is never shown again.'
  return (
    <div class={`field ${fault === undefined ? '' : 'field-wrong'}`}>
      <label for={id}>
        {labelOf(option)} <code class="variable">{option.field}</code>
      </label>
      <input
        id={id}
        type="password"
        autocomplete="new-password"
        disabled={value === null}
        value={value ?? ''}
        aria-describedby={fault === undefined ? `${id}-help` : `${id}-help ${id}-fault`}
        aria-invalid={fault !== undefined}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      <p class="help" id={`${id}-help`}>
        {option.description} {stored}
      </p>
      {isSet && (
        <label class="check">
          <input
            type="checkbox"
            checked={value === null}
            onChange={(event) => onChange(event.currentTarget.checked ? null : '')}
          />
          Remove it
        </label>
      )}
      {fault !== undefined && (
        <p class="fault" id={`${id}-fault`}>
          {fault}
        </p>
      )}
    </div>
  )
}
