// The list of cases.

import * as api from '../api.js'
import { fill, h, instant, problem } from '../dom.js'

export async function show(main) {
  const { cases, single } = await api.get('/api/cases')
  if (single && cases.length === 1 && !cases[0].error) {
    location.replace(`#/case/${cases[0].key}/case`)
    return null
  }
  const search = h('input', { type: 'search', placeholder: 'name, number, folder …', 'aria-label': 'Find a case', oninput: () => list(search.value) })
  const place = h('div', { class: 'cards' })
  const list = (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean)
    const fits = (one) => words.every((word) => `${one.folder} ${one.patient ?? ''} ${one.number ?? ''} ${one.disease ?? ''}`.toLowerCase().includes(word))
    fill(place, cases.filter(fits).map(card))
  }
  fill(main, h('h1', {}, 'Cases'), h('div', { class: 'row' }, search, h('span', { class: 'quiet' }, `${cases.length} in this folder`)), h('div', { class: 'gap' }), place)
  list('')
  return null
}

function card(one) {
  if (one.error) return h('section', { class: 'card' }, h('h2', {}, one.folder), problem({ message: one.error, remedy: one.remedy }))
  const counts = Object.entries(one.counts).map(([state, count]) => h('span', { class: `state ${state.split(' ')[0]}` }, `${count} ${state}`))
  return h('section', { class: 'card' },
    h('h2', {}, h('a', { href: `#/case/${one.key}/case` }, [one.patient, one.number].filter(Boolean).join(', ') || one.folder)),
    h('p', {}, [one.disease, ...one.treatments.map((each) => [each.agent, each.at.slice(0, 10)].filter(Boolean).join(' '))].filter(Boolean).join(' · ') || 'nothing stated yet'),
    h('p', { class: 'row' }, counts),
    one.open.length ? h('p', {}, `Open: ${one.open.join(', ')}`) : null,
    h('p', { class: 'quiet' }, `folder ${one.folder}, last changed ${instant(one.last)} UTC`))
}
