/**
 * The form of a pipeline: what one must look at first, everything else folded by group.
 *
 * It owns no state but which groups are open, and what was tried: values come in, changes go out.
 */
import type { ComponentChildren } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import type { FieldFault, Option, Options, PipelineContent } from '../data/api-types.ts'
import { EditsField } from './edit-rows.tsx'
import { FaultSummary, type FormFailure } from './fault-summary.tsx'
import { filterOf, type FormValues, isFilterField, placeOf, withField } from './form-values.ts'
import { KafkaProperties } from './kafka-properties.tsx'
import { OptionField } from './option-field.tsx'
import { layoutOf, type OptionGroup } from './option-labels.ts'
import { OwnField } from './own-field.tsx'
import { RulesField } from './rules-field.tsx'
import { SecretField } from './secret-field.tsx'
import { TryPanel } from './try-panel.tsx'
import { useTry } from './use-try.ts'

interface Props {
  /** Null: it is not made yet. */
  readonly pipelineId: number | null
  readonly options: Options
  readonly values: FormValues
  /** Which secrets are stored. */
  readonly secrets: PipelineContent['secrets']
  readonly failure: FormFailure | undefined
  readonly onChange: (values: FormValues) => void
  readonly onSubmit: () => void
  /** Below the fields: the buttons. */
  readonly children: ComponentChildren
}

export function PipelineForm(props: Props) {
  const { pipelineId, options, values, failure, onChange, onSubmit, children } = props
  const { first, more } = layoutOf(options.items)
  const trial = useTry(pipelineId, filterOf(values, options.items), placeOf(values))
  const faults = useFaults(failure, trial.faults, values.fields['rules'])
  const lastOfFilter = first.findLastIndex(({ field }) => isFilterField(field))
  const fieldOf = (option: Option) => (
    <AnyField
      key={option.field}
      {...props}
      option={option}
      fault={faults.get(option.field)}
      faults={faults}
    />
  )
  return (
    <form
      class="pipeline-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        onSubmit()
      }}
    >
      {failure !== undefined && <FaultSummary failure={failure} />}
      <div class="card first-fields">
        <OwnField
          field="name"
          label="Name"
          help="How you will find it again. It must be unique."
          isWide
          value={values.name}
          fault={faults.get('name')}
          onChange={(name) => onChange({ ...values, name })}
        />
        {first.slice(0, lastOfFilter + 1).map(fieldOf)}
        <TryPanel trial={trial} isMade={pipelineId !== null} />
        {first.slice(lastOfFilter + 1).map(fieldOf)}
      </div>
      <h2 class="more-title">More options</h2>
      <p class="muted">Everything here has a default that fits most pipelines.</p>
      {more.map((group) => (
        <Group key={group.group} group={group} values={values} faults={faults}>
          {group.group === 'general' && (
            <OwnField
              field="replicas"
              label="Replicas"
              help="Workers that share the consumer group. 1 to 256. Default: 1."
              value={values.replicas}
              fault={faults.get('replicas')}
              onChange={(replicas) => onChange({ ...values, replicas })}
            />
          )}
          {group.options.map(fieldOf)}
          {group.group === 'kafka' && (
            <KafkaProperties
              values={values}
              known={options.kafka_properties}
              faults={faults}
              onChange={onChange}
            />
          )}
        </Group>
      ))}
      <div class="form-actions actions">{children}</div>
    </form>
  )
}

/** By the field. Of a filter what was found while typing is newer. */
function useFaults(
  failure: FormFailure | undefined,
  tried: readonly FieldFault[],
  rules: string | undefined,
): ReadonlyMap<string, string> {
  // Their places say nothing once a rule was moved or taken away.
  const refusedRules = useMemo(() => rules, [failure])
  const isStill = ({ field }: FieldFault) => !field.startsWith('rules.') || rules === refusedRules
  const found = [...(failure?.faults ?? []).filter(isStill), ...tried]
  return new Map(found.map((fault) => [fault.field, textOfFault(fault)]))
}

function textOfFault({ detail, place }: FieldFault): string {
  return place === undefined ? detail : `${detail}\n${place}`
}

interface AnyFieldProps extends Pick<Props, 'options' | 'values' | 'secrets' | 'onChange'> {
  readonly option: Option
  readonly fault: string | undefined
  readonly faults: ReadonlyMap<string, string>
}

function AnyField(props: AnyFieldProps) {
  const { option, options, values, secrets, fault, faults, onChange } = props
  const { field } = option
  if (option.secret) {
    return (
      <SecretField
        option={option}
        isSet={secrets[field] === 'set'}
        value={values.secrets[field] === undefined ? '' : values.secrets[field]}
        fault={fault}
        onChange={(value) =>
          onChange({ ...values, secrets: { ...values.secrets, [field]: value } })
        }
      />
    )
  }
  const shared = {
    option,
    value: values.fields[field] ?? '',
    fault,
    onChange: (value: string) => onChange(withField(values, options.items, field, value)),
  }
  if (field === 'rules') return <RulesField {...shared} faults={faults} />
  return field === 'fields' ? <EditsField {...shared} /> : <OptionField {...shared} />
}

interface GroupProps {
  readonly group: OptionGroup
  readonly values: FormValues
  readonly faults: ReadonlyMap<string, string>
  readonly children: ComponentChildren
}

/** Opens by itself when something in it is wrong: a fault must not be hidden. */
function Group({ group, values, faults, children }: GroupProps) {
  const [isOpen, setIsOpen] = useState(false)
  const isOwn = (field: string) =>
    group.options.some(
      (option) => field === option.field || field.startsWith(`${option.field}.`),
    ) ||
    (group.group === 'kafka' && field.startsWith('kafka_config')) ||
    (group.group === 'general' && field === 'replicas')
  const hasFault = [...faults.keys()].some(isOwn)
  const setCount = group.options.filter(({ field }) => (values.fields[field] ?? '') !== '').length
  return (
    <details
      class="group"
      open={isOpen || hasFault}
      onToggle={(event) => setIsOpen(event.currentTarget.open)}
    >
      <summary>
        <span>{group.title}</span>
        <span class="muted">{setCount === 0 ? 'defaults' : `${setCount} set`}</span>
      </summary>
      <div class="fields">{children}</div>
    </details>
  )
}
