/**
 * Whether the reader's machine is dark or light: a canvas does not follow a style sheet by itself.
 */
import { useEffect, useState } from 'preact/hooks'

export function useColorScheme(): 'dark' | 'light' {
  const [isDark, setIsDark] = useState(() => query().matches)
  useEffect(() => {
    const dark = query()
    const onChange = (): void => setIsDark(dark.matches)
    dark.addEventListener('change', onChange)
    return () => dark.removeEventListener('change', onChange)
  }, [])
  return isDark ? 'dark' : 'light'
}

function query(): MediaQueryList {
  return matchMedia('(prefers-color-scheme: dark)')
}
