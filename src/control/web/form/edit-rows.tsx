/**
 * What is done to fields, a row each: of every match (the option FIELDS), or of a rule's.
 */
import { useState } from 'preact/hooks'
import { fieldId, OptionFrame, type FieldProps } from './option-field.tsx'
import { EDIT_ACTIONS, type EditAction, type EditRow, readEdits, writeEdits } from './rules-form.ts'

/** What stands in the two inputs of a row; null: there is no second one. */
const WORDS: Readonly<Record<EditAction, readonly [field: string, value: string | null]>> = {
  remove: ['Field', null],
  rename: ['Field', 'New name'],
  add: ['Field', 'Value'],
  redact: ['Field', 'mask or hash'],
  truncate: ['Field', 'Size, as 10KiB'],
  mask: ['Regular expression', null],
}

interface RowsProps {
  /** The button that adds a row has it. */
  readonly id: string
  readonly rows: readonly EditRow[]
  readonly fault: string | undefined
  readonly onChange: (rows: readonly EditRow[]) => void
}

export function EditRows({ id, rows, fault, onChange }: RowsProps) {
  const set = (at: number, change: Partial<EditRow>): void =>
    onChange(rows.map((row, index) => (index === at ? { ...row, ...change } : row)))
  const add = (): void => {
    onChange([...rows, { action: 'remove', field: '', value: '' }])
    setTimeout(() => document.getElementById(`${id}-${rows.length}-action`)?.focus(), 0)
  }
  const remove = (at: number): void => {
    onChange(rows.filter((_, index) => index !== at))
    document.getElementById(id)?.focus()
  }
  return (
    <div class={`edit-rows ${fault === undefined ? '' : 'field-wrong'}`}>
      {rows.map((row, index) => (
        <Row
          key={index}
          id={`${id}-${index}`}
          row={row}
          onChange={(change) => set(index, change)}
          onRemove={() => remove(index)}
        />
      ))}
      {fault !== undefined && (
        <p class="fault" id={`${id}-fault`}>
          {fault}
        </p>
      )}
      <button
        type="button"
        id={id}
        class="button"
        aria-describedby={fault === undefined ? undefined : `${id}-fault`}
        onClick={add}
      >
        Add an edit
      </button>
    </div>
  )
}

interface RowProps {
  readonly id: string
  readonly row: EditRow
  readonly onChange: (change: Partial<EditRow>) => void
  readonly onRemove: () => void
}

function Row({ id, row, onChange, onRemove }: RowProps) {
  const { action, field, value } = row
  const [fieldWord, valueWord] = WORDS[action]
  return (
    <div class="edit-row">
      <select
        id={`${id}-action`}
        aria-label="What to do"
        value={action}
        onChange={(event) =>
          onChange({ action: EDIT_ACTIONS[event.currentTarget.selectedIndex] ?? action })
        }
      >
        {EDIT_ACTIONS.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
      <TextInput name={fieldWord} text={field} onInput={(text) => onChange({ field: text })} />
      {valueWord !== null && (
        <TextInput name={valueWord} text={value} onInput={(text) => onChange({ value: text })} />
      )}
      <button
        type="button"
        class="button"
        aria-label={`Remove ${action} ${field}`}
        onClick={onRemove}
      >
        Remove
      </button>
    </div>
  )
}

interface TextProps {
  readonly name: string
  readonly text: string
  readonly onInput: (text: string) => void
}

function TextInput({ name, text, onInput }: TextProps) {
  return (
    <input
      type="text"
      autocomplete="off"
      spellcheck={false}
      aria-label={name}
      placeholder={name}
      value={text}
      onInput={(event) => onInput(event.currentTarget.value)}
    />
  )
}

/** The option FIELDS. Rows that are not finished are kept here, and not in its text. */
export function EditsField(props: FieldProps) {
  const { option, value, fault, onChange } = props
  const [rows, setRows] = useState(() => readEdits(value))
  const isOurs = rows !== null && writeEdits(rows) === value
  const shown = isOurs ? rows : readEdits(value)
  const change = (next: readonly EditRow[]): void => {
    setRows(next)
    onChange(writeEdits(next))
  }
  return (
    <OptionFrame {...props} isWide isGroup>
      {shown !== null && (
        <EditRows id={fieldId(option.field)} rows={shown} fault={fault} onChange={change} />
      )}
    </OptionFrame>
  )
}
