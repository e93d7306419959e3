/**
 * A state as a word in its colour.
 */
import { stateWord, type Tone } from './states.ts'

export function StateBadge({ state, tone }: { readonly state: string; readonly tone: Tone }) {
  return (
    <span class={`badge tone-${tone}`} data-state={state}>
      <span class="dot" aria-hidden="true" />
      {stateWord(state)}
    </span>
  )
}
