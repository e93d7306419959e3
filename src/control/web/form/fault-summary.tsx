/**
 * What kept a form from being saved: a list with a way to each field. It takes the focus.
 */
import { useEffect, useRef } from 'preact/hooks'
import type { FieldFault } from '../data/api-types.ts'
import { fieldId } from './option-field.tsx'
import { labelOf } from './option-labels.ts'

export interface FormFailure {
  readonly message: string
  readonly faults: readonly FieldFault[]
}

export function FaultSummary({ failure }: { readonly failure: FormFailure }) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => box.current?.focus(), [failure])
  return (
    <div class="banner banner-bad" role="alert" tabIndex={-1} ref={box} data-test="faults">
      <p>
        <strong>{failure.message}</strong>
      </p>
      {failure.faults.length > 0 && (
        <ul>
          {failure.faults.map(({ field, detail }) => (
            <li key={`${field} ${detail}`}>
              {field === '' ? detail : <FaultLink field={field} detail={detail} />}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

function FaultLink({ field, detail }: { readonly field: string; readonly detail: string }) {
  const id = fieldId(field.startsWith('kafka_config') ? 'kafka_config' : field)
  const [whole = field] = field.startsWith('rules.') ? field.split('.') : [field]
  const group = field.startsWith('es_') ? 'elasticsearch' : 'kafka'
  const go = (): void => document.getElementById(id)?.focus()
  return (
    <button type="button" class="button-link" onClick={go}>
      {labelOf({ field: whole, group })}: {detail}
    </button>
  )
}
