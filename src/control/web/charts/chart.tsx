/**
 * One curve over time, drawn by uPlot on a canvas. Who does not see it hears its last and its
 * highest value; the cursor of all charts of a page moves together.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { summaryOf, timeLabels } from './chart-data.ts'
import { useColorScheme } from './use-color-scheme.ts'

const HEIGHT = 150
/** Room for "1.24M/s" and "999 KiB". */
const AXIS_WIDTH = 64
const FONT = '11px system-ui, sans-serif'

interface Props {
  readonly title: string
  /** Seconds since 1970. */
  readonly times: readonly number[]
  readonly values: readonly (number | null)[]
  readonly spanSeconds: number
  readonly format: (value: number) => string
  /** A custom property of the style sheet. */
  readonly color: string
}

export function Chart({ title, times, values, spanSeconds, format, color }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  const [pointed, setPointed] = useState<number | null>(null)
  const scheme = useColorScheme()
  useEffect(() => {
    if (box.current === null) return
    const made = makePlot(box.current, { format, color, onPoint: setPointed })
    plot.current = made
    const observer = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry?.contentRect.width ?? 0)
      if (width > 0) made.setSize({ width, height: HEIGHT })
    })
    observer.observe(box.current)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = null
    }
  }, [format, color, scheme])
  useEffect(() => {
    const end = Math.max(Date.now() / 1000, times.at(-1) ?? 0)
    plot.current?.setData([[...times], [...values]], false)
    plot.current?.setScale('x', { min: end - spanSeconds, max: end })
  }, [times, values, spanSeconds, scheme])
  const { last, highest } = summaryOf(values)
  const shown = pointed === null ? last : (values[pointed] ?? 0)
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="chart-value">{format(shown)}</span>
        <span class="chart-top">top {format(highest)}</span>
      </figcaption>
      <div
        ref={box}
        class="plot"
        role="img"
        aria-label={`${title} over time: now ${format(last)}, at most ${format(highest)}`}
      />
    </figure>
  )
}

interface PlotOptions {
  readonly format: (value: number) => string
  readonly color: string
  readonly onPoint: (index: number | null) => void
}

function makePlot(box: HTMLElement, { format, color, onPoint }: PlotOptions): uPlot {
  const stroke = resolvedColor(box, color)
  const axis: uPlot.Axis = {
    stroke: resolvedColor(box, '--ink-soft'),
    font: FONT,
    grid: { stroke: resolvedColor(box, '--line'), width: 1 },
    ticks: { show: false },
  }
  const isFlat = ({ data }: uPlot): boolean => !data[1]?.some((value) => (value ?? 0) > 0)
  return new uPlot(
    {
      width: Math.max(box.clientWidth, 200),
      height: HEIGHT,
      legend: { show: false },
      cursor: { sync: { key: 'time' }, drag: { x: false, y: false }, y: false },
      scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
      axes: [
        {
          ...axis,
          size: 26,
          space: 44,
          values: (plot, splits) => timeLabels(splits, widthOf(plot)),
        },
        {
          ...axis,
          size: AXIS_WIDTH,
          space: 36,
          // Of a curve that is nothing but zero, zero is all there is to say.
          values: (plot, splits) =>
            splits.map((value) => (value > 0 && isFlat(plot) ? '' : format(value))),
        },
      ],
      series: [
        {},
        {
          stroke,
          fill: stroke.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.12)'),
          width: 1.5,
          points: { show: false },
        },
      ],
      hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
    },
    [[], []],
    box,
  )
}

/** A canvas takes no custom property: the box has the browser work its colour out. */
function resolvedColor(box: HTMLElement, property: string): string {
  box.style.color = `var(${property})`
  const { color } = getComputedStyle(box)
  box.style.color = ''
  return color
}

function widthOf({ scales }: uPlot): number {
  const { min = 0, max = 0 } = scales['x'] ?? {}
  return (max ?? 0) - (min ?? 0)
}
