// Looks through a page for what shuts people out. Evaluated inside of it by a11y checks of pages.test.ts.
// The value is a list of sentences; an empty one is a page that keeps the rules.
;(() => {
  const faults = []
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true })
  const tell = (element, what) => {
    const id = element.id === '' ? '' : `#${element.id}`
    const text = (element.textContent ?? '').trim().slice(0, 30)
    faults.push(`${element.localName}${id}.${element.className} "${text}": ${what}`)
  }
  const nameOf = (element) => {
    const labelled = (element.getAttribute('aria-labelledby') ?? '')
      .split(' ')
      .map((id) => document.getElementById(id)?.textContent ?? '')
      .join('')
    const labels = [...(element.labels ?? [])].map((label) => label.textContent).join('')
    const isField = /^(input|select|textarea)$/.test(element.localName)
    const content = isField ? '' : element.textContent
    const alt = [...element.querySelectorAll('img')].map((image) => image.alt).join('')
    return `${element.getAttribute('aria-label') ?? ''}${labelled}${labels}${content}${alt}`.trim()
  }

  for (const element of document.querySelectorAll('input, select, textarea, button, a, summary')) {
    if (isShown(element) && nameOf(element) === '') tell(element, 'has no name')
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  for (const id of ids.filter((each, index) => ids.indexOf(each) !== index)) {
    faults.push(`the id ${id} is there twice`)
  }
  for (const attribute of ['aria-describedby', 'aria-labelledby', 'for']) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(' ')) {
        if (document.getElementById(id) === null) tell(element, `${attribute} names no ${id}`)
      }
    }
  }
  for (const selector of ['h1', 'main', 'title', 'html[lang]']) {
    const count = document.querySelectorAll(selector).length
    if (count !== 1) faults.push(`expected one ${selector}, found ${count}`)
  }
  for (const image of document.querySelectorAll('img:not([alt])')) tell(image, 'has no alt')
  for (const header of document.querySelectorAll('th:not([scope])')) tell(header, 'has no scope')
  for (const element of document.querySelectorAll('[tabindex]')) {
    if (element.tabIndex > 0) tell(element, 'breaks the order of the keyboard')
  }

  // Contrast: 4.5 to 1 for text, 3 to 1 where it is large (WCAG 2.2, 1.4.3).
  const channels = (color) => (color.match(/[\d.]+/g) ?? []).map(Number)
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.slice(0, 3).map((value) => {
      const share = value / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const backgroundOf = (element) => {
    for (let each = element; each !== null; each = each.parentElement) {
      const color = channels(getComputedStyle(each).backgroundColor)
      if (color.length === 3 || color[3] === 1) return color
    }
    return [255, 255, 255]
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement
    if (node.data.trim() === '' || !isShown(element) || element.closest('.unseen, :disabled'))
      continue
    const style = getComputedStyle(element)
    const [front, back] = [luminance(channels(style.color)), luminance(backgroundOf(element))]
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05)
    const size = Number.parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 600)
    if (ratio < (isLarge ? 3 : 4.5)) tell(element, `contrast ${ratio.toFixed(2)}`)
  }

  const surplus = document.documentElement.scrollWidth - window.innerWidth
  if (surplus > 0) faults.push(`the page is ${surplus} pixels wider than the screen`)
  return faults
})()
