/**
 * For an address that leads nowhere.
 */
import { PageHead } from '../parts/page-head.tsx'

export function UnknownPage() {
  return (
    <>
      <PageHead title="Nothing is here" />
      <p>
        There is no page at this address. <a href="#/">See all pipelines.</a>
      </p>
    </>
  )
}
