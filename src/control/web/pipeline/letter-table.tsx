/**
 * A table of dead letters, to be chosen from.
 */
import { ago } from '../parts/format.ts'
import type { Letter } from './letters.ts'

interface Props {
  readonly letters: readonly Letter[]
  /** Ids. */
  readonly chosen: ReadonlySet<string>
  readonly onChoose: (chosen: ReadonlySet<string>) => void
}

export function LetterTable({ letters, chosen, onChoose }: Props) {
  const toggle = (id: string): void => {
    const next = new Set(chosen)
    if (!next.delete(id)) next.add(id)
    onChoose(next)
  }
  const isAll = chosen.size === letters.length
  return (
    <div class="table-frame">
      <table class="table" data-test="letters">
        <thead>
          <tr>
            <th scope="col" class="check-cell">
              <input
                type="checkbox"
                aria-label="Choose all"
                checked={isAll}
                onChange={() => onChoose(new Set(isAll ? [] : letters.map(({ id }) => id)))}
              />
            </th>
            <th scope="col">Record and reason</th>
            <th scope="col" class="number only-wide">
              Status
            </th>
            <th scope="col" class="only-wide">
              Index
            </th>
            <th scope="col" class="only-wide">
              Worker
            </th>
            <th scope="col" class="number">
              When
            </th>
          </tr>
        </thead>
        <tbody>
          {letters.map((letter) => (
            <tr key={`${letter.workerId} ${letter.id}`}>
              <td class="check-cell">
                <input
                  type="checkbox"
                  aria-label={`Choose ${letter.id}`}
                  checked={chosen.has(letter.id)}
                  onChange={() => toggle(letter.id)}
                />
              </td>
              <th scope="row" class="main-cell">
                <code>{letter.id}</code>
                <span class="sub">
                  {letter.errorType}: {letter.reason}
                </span>
              </th>
              <td class="number only-wide">{letter.status}</td>
              <td class="only-wide">{letter.index}</td>
              <td class="only-wide">{letter.workerId}</td>
              <td class="number">{ago(letter.at, Date.now())}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
