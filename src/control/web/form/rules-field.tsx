/**
 * The option RULES: a card for each rule, in the order in which they are asked.
 *
 * What is typed is kept here, so that a rule may be unfinished; the option has the JSON of it. A
 * text that has what the cards have no place for is shown as it is.
 */
import { useState } from 'preact/hooks'
import { EditRows } from './edit-rows.tsx'
import { Fault, fieldId, type FieldProps, OptionField, OptionFrame } from './option-field.tsx'
import {
  NEW_RULE,
  NO_RULES,
  readRules,
  type RuleForm,
  type RulesForm,
  writeRules,
} from './rules-form.ts'

interface Props extends FieldProps {
  /** By the field: rules.0.keep. */
  readonly faults: ReadonlyMap<string, string>
}

export function RulesField(props: Props) {
  const { option, value, fault, faults, onChange } = props
  const [typed, setTyped] = useState(() => readRules(value) ?? NO_RULES)
  const form = writeRules(typed) === value ? typed : readRules(value)
  if (form === null) return <OptionField {...props} />
  const { rules } = form
  const change = (next: RulesForm): void => {
    setTyped(next)
    onChange(writeRules(next))
  }
  const setRules = (next: readonly RuleForm[]): void => change({ ...form, rules: next })
  const id = fieldId(option.field)
  const add = (): void => {
    setRules([...rules, NEW_RULE])
    setTimeout(() => document.getElementById(fieldId(`rules.${rules.length}.name`))?.focus(), 0)
  }
  return (
    <OptionFrame {...props} isWide isGroup>
      {rules.length > 0 && (
        <ol class="plain rule-cards" data-test="rules">
          {rules.map((rule, index) => (
            <RuleCard
              key={index}
              rule={rule}
              index={index}
              count={rules.length}
              faults={faults}
              onChange={(part) =>
                setRules(rules.map((one, at) => (at === index ? { ...one, ...part } : one)))
              }
              onMove={(by) => setRules(moved(rules, index, by))}
              onRemove={() => {
                setRules(rules.filter((_, at) => at !== index))
                document.getElementById(id)?.focus()
              }}
            />
          ))}
        </ol>
      )}
      {rules.length > 1 && (
        <label class="check">
          <input
            type="checkbox"
            checked={form.isEach}
            onChange={(event) => change({ ...form, isEach: event.currentTarget.checked })}
          />
          Every rule that holds makes a document, not only the first one
        </label>
      )}
      {fault !== undefined && <Fault id={`${id}-fault`} text={fault} />}
      <button type="button" id={id} class="button" onClick={add}>
        Add a rule
      </button>
    </OptionFrame>
  )
}

function moved(rules: readonly RuleForm[], index: number, by: -1 | 1): readonly RuleForm[] {
  const rule = rules[index]
  const others = rules.filter((_, at) => at !== index)
  return rule === undefined ? rules : others.toSpliced(index + by, 0, rule)
}

interface CardProps {
  readonly rule: RuleForm
  readonly index: number
  readonly count: number
  readonly faults: ReadonlyMap<string, string>
  readonly onChange: (part: Partial<RuleForm>) => void
  readonly onMove: (by: -1 | 1) => void
  readonly onRemove: () => void
}

/** Of a text of a rule: where the fault that concerns it is. */
interface Part {
  readonly key: 'name' | 'keep' | 'drop' | 'index' | 'pipeline' | 'share' | 'by'
  readonly label: string
  readonly hint: string
  readonly fault: string
  readonly isLong?: boolean
}

const PARTS: readonly Part[] = [
  { key: 'name', label: 'Name', hint: 'errors', fault: 'name' },
  { key: 'keep', label: 'Keep records that meet', hint: '', fault: 'keep', isLong: true },
  { key: 'drop', label: 'Drop records that meet', hint: '', fault: 'drop', isLong: true },
  { key: 'index', label: 'Index', hint: 'as the pipeline', fault: 'index' },
  { key: 'pipeline', label: 'Ingest pipeline', hint: 'as the pipeline', fault: 'pipeline' },
  { key: 'share', label: 'Sample', hint: 'all, or 10%', fault: 'sample' },
  { key: 'by', label: 'Keep together by', hint: 'trace.id', fault: '' },
]

function RuleCard({ rule, index, count, faults, onChange, onMove, onRemove }: CardProps) {
  const name = rule.name === '' ? `rule ${index + 1}` : rule.name
  const fieldsOf = `rules.${index}.fields`
  return (
    <li class="rule-card">
      <div class="rule-head">
        <h3>
          {index + 1}. {rule.name === '' ? 'New rule' : rule.name}
        </h3>
        <button
          type="button"
          class="button"
          disabled={index === 0}
          aria-label={`Move ${name} up`}
          onClick={() => onMove(-1)}
        >
          ↑
        </button>
        <button
          type="button"
          class="button"
          disabled={index === count - 1}
          aria-label={`Move ${name} down`}
          onClick={() => onMove(1)}
        >
          ↓
        </button>
        <button type="button" class="button" aria-label={`Remove ${name}`} onClick={onRemove}>
          Remove
        </button>
      </div>
      <div class="fields">
        {PARTS.map((part) => (
          <PartField
            key={part.key}
            part={part}
            id={fieldId(`rules.${index}.${part.fault === '' ? part.key : part.fault}`)}
            value={rule[part.key]}
            fault={part.fault === '' ? undefined : faults.get(`rules.${index}.${part.fault}`)}
            onChange={(text) => onChange({ [part.key]: text })}
          />
        ))}
        <div class="field wide" role="group" aria-label={`Edits of fields of ${name}`}>
          <p class="label">Edits of fields</p>
          <EditRows
            id={fieldId(fieldsOf)}
            rows={rule.edits}
            fault={faults.get(fieldsOf)}
            onChange={(edits) => onChange({ edits })}
          />
        </div>
      </div>
    </li>
  )
}

interface PartProps {
  readonly part: Part
  readonly id: string
  readonly value: string
  readonly fault: string | undefined
  readonly onChange: (text: string) => void
}

function PartField({ part, id, value, fault, onChange }: PartProps) {
  const { label, hint, isLong = false } = part
  const shared = {
    id,
    value,
    placeholder: hint,
    spellcheck: false,
    autocomplete: 'off' as const,
    autocapitalize: 'none' as const,
    'aria-invalid': fault !== undefined,
    'aria-describedby': fault === undefined ? undefined : `${id}-fault`,
    onInput: (event: { readonly currentTarget: { readonly value: string } }) =>
      onChange(event.currentTarget.value),
  }
  return (
    <div class={`field ${fault === undefined ? '' : 'field-wrong'} ${isLong ? 'wide' : ''}`}>
      <label for={id}>{label}</label>
      {isLong ? (
        <textarea {...shared} rows={Math.min(8, value.split('\n').length)} />
      ) : (
        <input {...shared} type="text" />
      )}
      {fault !== undefined && <Fault id={`${id}-fault`} text={fault} />}
    </div>
  )
}
