/**
 * One field of the form: label, help, the control that fits its kind, and what was wrong with it.
 */
import type { ComponentChildren } from 'preact'
import type { Option } from '../data/api-types.ts'
import { boundsOf, labelOf } from './option-labels.ts'

export interface FieldProps {
  readonly option: Option
  readonly value: string
  readonly fault: string | undefined
  readonly onChange: (value: string) => void
}

export function fieldId(field: string): string {
  return `field-${field.replaceAll('.', '-')}`
}

export function OptionField({ option, value, fault, onChange }: FieldProps) {
  const id = fieldId(option.field)
  const described = fault === undefined ? `${id}-help` : `${id}-help ${id}-fault`
  const shared = {
    id,
    'aria-describedby': described,
    'aria-invalid': fault !== undefined,
  }
  return (
    <OptionFrame option={option} fault={fault} isWide={option.repeatable}>
      <Control option={option} value={value} shared={shared} onChange={onChange} />
    </OptionFrame>
  )
}

interface FrameProps extends Pick<FieldProps, 'option' | 'fault'> {
  readonly isWide: boolean
  /** Several controls, each with a label of its own; the fault stands among them. */
  readonly isGroup?: boolean
  readonly children: ComponentChildren
}

/** Label and help around what an option is set with. */
export function OptionFrame({ option, fault, isWide, isGroup = false, children }: FrameProps) {
  const id = fieldId(option.field)
  const name = (
    <>
      {labelOf(option)} <code class="variable">{option.field}</code>
    </>
  )
  const isWrong = fault !== undefined && !isGroup
  return (
    <div
      class={`field ${isWrong ? 'field-wrong' : ''} ${isWide ? 'wide' : ''}`}
      role={isGroup ? 'group' : undefined}
      aria-labelledby={isGroup ? `${id}-label` : undefined}
    >
      {isGroup ? (
        <p class="label" id={`${id}-label`}>
          {name}
        </p>
      ) : (
        <label for={id}>{name}</label>
      )}
      {children}
      <div class="help-row">
        <p class="help" id={`${id}-help`}>
          {option.description} {boundsOf(option)}
        </p>
        {option.help !== '' && (
          <details class="more-help">
            <summary>
              More <span class="unseen">about {labelOf(option)}</span>
            </summary>
            <p>{option.help}</p>
          </details>
        )}
      </div>
      {isWrong && <Fault id={`${id}-fault`} text={fault} />}
    </div>
  )
}

/** What was wrong; in further lines the part of the value, with a caret below the place. */
export function Fault({ id, text }: { readonly id: string; readonly text: string }) {
  const [what, ...place] = text.split('\n')
  return (
    <div id={id}>
      <p class="fault">{what}</p>
      {place.length > 0 && <pre class="caret">{place.join('\n')}</pre>}
    </div>
  )
}

interface ControlProps extends Omit<FieldProps, 'fault'> {
  readonly shared: {
    readonly id: string
    readonly 'aria-describedby': string
    readonly 'aria-invalid': boolean
  }
}

function Control({ option, value, shared, onChange }: ControlProps) {
  const { kind, choices, repeatable, default: preset } = option
  if (kind === 'switch' || choices.length > 0) {
    const words = kind === 'switch' ? SWITCH : choices.map((choice) => [choice, choice] as const)
    const presetWord = words.find(([each]) => each === preset)?.[1] ?? 'none'
    return (
      <select {...shared} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">Default ({presetWord})</option>
        {words.map(([each, word]) => (
          <option key={each} value={each}>
            {word}
          </option>
        ))}
      </select>
    )
  }
  const text = {
    ...shared,
    value,
    placeholder: preset ?? '',
    spellcheck: false,
    autocapitalize: 'none' as const,
    autocomplete: 'off' as const,
  }
  if (repeatable) {
    return (
      <textarea
        {...text}
        rows={Math.min(8, value.split('\n').length)}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    )
  }
  return (
    <input
      {...text}
      type="text"
      inputMode={kind === 'count' ? 'numeric' : 'text'}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  )
}

const SWITCH = [
  ['1', 'on'],
  ['0', 'off'],
] as const
