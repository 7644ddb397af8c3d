// The report of the course as it will print.

import { fill, h } from '../dom.js'

export async function show(main, key) {
  const waits = h('p', { class: 'quiet', role: 'status' }, 'The report is being put together …')
  const frame = h('iframe', { onload: () => waits.remove(), src: `/api/cases/${key}/report.html`, title: 'Report of the course', sandbox: '' })
  fill(main, h('div', { class: 'row' }, h('h1', {}, 'Report'),
    h('a', { href: `/api/cases/${key}/report.pdf`, target: '_blank', rel: 'noopener' }, 'As PDF, as it prints'),
    h('span', { class: 'quiet' }, 'Nothing is computed anew: every number is that of a step.'), waits), frame)
  return null
}
