/**
 * A curve as small as a word. It repeats what stands beside it in figures, so it is not read out.
 */
import { sparkPath } from './sparks.ts'

const WIDTH = 96
const HEIGHT = 24

export function Sparkline({ values }: { readonly values: readonly number[] }) {
  const path = sparkPath(values, WIDTH, HEIGHT)
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden>
      {path === '' ? (
        <line class="spark-none" x1="0" y1={HEIGHT - 1} x2={WIDTH} y2={HEIGHT - 1} />
      ) : (
        <>
          <path class="spark-area" d={`${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} />
          <path class="spark-line" d={path} />
        </>
      )}
    </svg>
  )
}
