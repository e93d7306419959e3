/**
 * The last few minutes of one number for each pipeline: what the small curves of the list draw.
 *
 * Bounds: POINTS_MAX numbers for each of PIPELINES_MAX pipelines; the longest unseen go first.
 */

export const POINTS_MAX = 90
const PIPELINES_MAX = 500

export class Sparks {
  readonly #series = new Map<number, readonly number[]>()

  /** What was before the dashboard looked; older than all that was added. */
  seed(id: number, values: readonly number[]): void {
    const now = this.#series.get(id) ?? []
    this.#keep(id, [...values, ...now])
  }

  add(id: number, value: number): void {
    this.#keep(id, [...(this.#series.get(id) ?? []), value])
  }

  of(id: number): readonly number[] {
    return this.#series.get(id) ?? []
  }

  #keep(id: number, values: readonly number[]): void {
    this.#series.delete(id)
    this.#series.set(id, values.slice(-POINTS_MAX))
    const oldest = this.#series.keys().next()
    if (this.#series.size > PIPELINES_MAX && oldest.done !== true) this.#series.delete(oldest.value)
  }
}

/** The path of a curve in a box of this size, the highest value at its top; '' below two points. */
export function sparkPath(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return ''
  const top = Math.max(...values, 1e-9)
  const step = width / (values.length - 1)
  return values
    .map((value, index) => {
      const x = (index * step).toFixed(1)
      const y = (height - 1 - (value / top) * (height - 2)).toFixed(1)
      return `${index === 0 ? 'M' : 'L'}${x} ${y}`
    })
    .join('')
}
