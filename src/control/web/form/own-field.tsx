/**
 * A field that a pipeline has besides the options: its name, its replicas.
 */
import { fieldId } from './option-field.tsx'

interface Props {
  readonly field: string
  readonly label: string
  readonly help: string
  readonly value: string
  readonly fault: string | undefined
  /** Takes the whole width where there are two columns. */
  readonly isWide?: boolean
  readonly onChange: (value: string) => void
}

export function OwnField(props: Props) {
  const { field, label, help, value, fault, isWide = false, onChange } = props
  const id = fieldId(field)
  return (
    <div class={`field ${fault === undefined ? '' : 'field-wrong'} ${isWide ? 'wide' : ''}`}>
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        autocomplete="off"
        spellcheck={false}
        value={value}
        aria-describedby={fault === undefined ? `${id}-help` : `${id}-help ${id}-fault`}
        aria-invalid={fault !== undefined}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      <p class="help" id={`${id}-help`}>
        {help}
      </p>
      {fault !== undefined && (
        <p class="fault" id={`${id}-fault`}>
          {fault}
        </p>
      )}
    </div>
  )
}
