/**
 * What is asked for once: the option table, and what this control plane is.
 */
import { createContext, type ComponentChildren } from 'preact'
import { useContext, useMemo } from 'preact/hooks'
import type { About, Options } from '../data/api-types.ts'
import { useRequest } from '../data/use-request.ts'

/** They change with the control plane's version only. */
const ASK_MS = 60_000

interface Known {
  readonly options: Options | undefined
  readonly about: About | undefined
}

const KnownContext = createContext<Known>({ options: undefined, about: undefined })

export function useKnown(): Known {
  return useContext(KnownContext)
}

export function OptionsProvider({ children }: { readonly children: ComponentChildren }) {
  const options = useRequest<Options>('/api/options', ASK_MS).value
  const about = useRequest<About>('/api/about', ASK_MS).value
  const known = useMemo(() => ({ options, about }), [options, about])
  return <KnownContext.Provider value={known}>{children}</KnownContext.Provider>
}
