/**
 * librdkafka properties: a row each, names from the list of those that the API may set.
 */
import type { Options } from '../data/api-types.ts'
import type { FormValues, KafkaProperty } from './form-values.ts'
import { fieldId } from './option-field.tsx'

interface Props {
  readonly values: FormValues
  readonly known: Options['kafka_properties']
  readonly faults: ReadonlyMap<string, string>
  readonly onChange: (values: FormValues) => void
}

export function KafkaProperties({ values, known, faults, onChange }: Props) {
  const { properties, removed } = values
  const set = (key: number, change: Partial<KafkaProperty>): void =>
    onChange({
      ...values,
      properties: properties.map((each) => (each.key === key ? { ...each, ...change } : each)),
    })
  const add = (): void => {
    const key = Math.max(-1, ...properties.map((each) => each.key)) + 1
    onChange({
      ...values,
      properties: [...properties, { key, name: '', value: '', stored: false }],
    })
    setTimeout(() => document.getElementById(`property-${key}-name`)?.focus(), 0)
  }
  const remove = ({ key, name, stored }: KafkaProperty): void => {
    onChange({
      ...values,
      properties: properties.filter((each) => each.key !== key),
      removed: stored ? [...removed, name] : removed,
    })
    document.getElementById(fieldId('kafka_config'))?.focus()
  }
  return (
    <fieldset class="properties">
      <legend>librdkafka properties</legend>
      <p class="help">
        For TLS, SASL and tuning. Set properties that name a file or a program on the worker.
      </p>
      <datalist id="property-names">
        {known.map(({ name }) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {properties.map((property) => (
        <PropertyRow
          key={property.key}
          property={property}
          isSecret={known.some(({ name, secret }) => secret && name === property.name)}
          fault={faults.get(`kafka_config.${property.name}`)}
          onChange={(change) => set(property.key, change)}
          onRemove={() => remove(property)}
        />
      ))}
      {faults.has('kafka_config') && <p class="fault">{faults.get('kafka_config')}</p>}
      <button type="button" id={fieldId('kafka_config')} class="button" onClick={add}>
        Add a property
      </button>
    </fieldset>
  )
}

interface RowProps {
  readonly property: KafkaProperty
  readonly isSecret: boolean
  readonly fault: string | undefined
  readonly onChange: (change: Partial<KafkaProperty>) => void
  readonly onRemove: () => void
}

function PropertyRow({ property, isSecret, fault, onChange, onRemove }: RowProps) {
  const { key, name, value, stored } = property
  const id = `property-${key}`
  const shared = {
    id: `${id}-value`,
    autocomplete: 'off' as const,
    spellcheck: false,
    placeholder: stored ? 'stored; leave empty to keep it' : '',
    value,
    'aria-invalid': fault !== undefined,
    'aria-describedby': fault === undefined ? undefined : `${id}-fault`,
    onInput: (event: { readonly currentTarget: { readonly value: string } }) =>
      onChange({ value: event.currentTarget.value }),
  }
  return (
    <div class={`property ${fault === undefined ? '' : 'field-wrong'}`}>
      <label for={`${id}-name`}>Name</label>
      <input
        id={`${id}-name`}
        list="property-names"
        spellcheck={false}
        autocomplete="off"
        readOnly={stored}
        value={name}
        onInput={(event) => onChange({ name: event.currentTarget.value })}
      />
      <label for={`${id}-value`}>Value</label>
      {valueControl(name, isSecret, shared)}
      <button type="button" class="button" aria-label={`Remove ${name}`} onClick={onRemove}>
        Remove
      </button>
      {fault !== undefined && (
        <p class="fault" id={`${id}-fault`}>
          {fault}
        </p>
      )}
    </div>
  )
}

interface ValueProps {
  readonly id: string
  readonly value: string
}

/** A PEM text has lines, which an input would join. */
function valueControl(name: string, isSecret: boolean, shared: ValueProps) {
  if (name.endsWith('.pem')) {
    return <textarea {...shared} class={isSecret ? 'masked' : ''} rows={4} />
  }
  return isSecret ? <input {...shared} type="password" /> : <input {...shared} type="text" />
}
