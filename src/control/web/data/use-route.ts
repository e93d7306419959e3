/**
 * The page of the address, and where the focus goes when it changes: to the new page's heading,
 * so that a screen reader reads it and Tab goes on from there.
 */
import { useEffect, useState } from 'preact/hooks'
import { routeOf, type Route } from './route.ts'

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const onChange = (): void => {
      setHash(location.hash)
      window.scrollTo(0, 0)
      // After the new page was drawn.
      setTimeout(focusHeading, 0)
    }
    window.addEventListener('hashchange', onChange)
    return () => window.removeEventListener('hashchange', onChange)
  }, [])
  return routeOf(hash)
}

function focusHeading(): void {
  document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true })
}

export function useTitle(title: string): void {
  useEffect(() => {
    const before = document.title
    document.title = `${title} · logpipe`
    // What lies below shows again when this goes.
    return () => {
      document.title = before
    }
  }, [title])
}
