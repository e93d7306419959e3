/**
 * Asks before a link, a reload or a closed tab throws away what was typed.
 */
import { useEffect } from 'preact/hooks'

const QUESTION = 'Leave this page? Your changes are not saved.'

export function useUnsaved(isUnsaved: boolean): void {
  useEffect(() => {
    if (!isUnsaved) return
    // The browser asks in its own words.
    const onUnload = (event: Event): void => event.preventDefault()
    const onClick = (event: MouseEvent): void => {
      const link = event.target instanceof Element ? event.target.closest('a') : null
      const leaves = link !== null && link.hash !== '' && link.hash !== location.hash
      if (leaves && !link.classList.contains('skip') && !window.confirm(QUESTION)) {
        event.preventDefault()
      }
    }
    window.addEventListener('beforeunload', onUnload)
    document.addEventListener('click', onClick, true)
    return () => {
      window.removeEventListener('beforeunload', onUnload)
      document.removeEventListener('click', onClick, true)
    }
  }, [isUnsaved])
}
