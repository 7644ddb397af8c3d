// The page: which view is shown, the bar above it, and that somebody is there.

import * as api from './api.js'
import { fill, h, problem } from './dom.js'

const HERE_MS = 2500 // a cheap question: whether the case changed, by whomever

const VIEWS = {
  case: { title: 'Course', load: () => import('./views/case.js') },
  viewer: { title: 'Viewer', load: () => import('./views/viewer.js') },
  histograms: { title: 'Histograms', load: () => import('./views/histograms.js') },
  plan: { title: 'Plan', load: () => import('./views/plan.js') },
  structures: { title: 'Structures', load: () => import('./views/structures.js') },
  registration: { title: 'Registration', load: () => import('./views/registration.js') },
  monitoring: { title: 'Monitoring', load: () => import('./views/monitoring.js') },
  forms: { title: 'Forms', load: () => import('./views/forms.js') },
  report: { title: 'Report', load: () => import('./views/report.js') },
  log: { title: 'Log', load: () => import('./views/log.js') },
}

let shown = { key: null, leave: null }

// "#/case/KEY/view?more"
function place() {
  const [, key, view] = location.hash.match(/^#\/case\/([0-9a-f]+)\/?([a-z]*)/) ?? []
  return { key: key ?? null, view: view in VIEWS ? view : key ? 'case' : null }
}

function bar(key, view) {
  const links = key === null ? [] : Object.entries(VIEWS).map(([name, { title }]) =>
    h('a', { href: `#/case/${key}/${name}`, 'aria-current': name === view ? 'page' : null }, title))
  fill(document.getElementById('views'), links)
}

// Whose case it is, in the head of every view and in the title
async function identify(key, title) {
  const place = document.getElementById('who')
  if (key === null) {
    place.hidden = true
    document.title = 'hepatica workbench'
    return
  }
  const found = await api.get(`/api/cases/${key}/who`)
  if (shown.key !== key) return
  const parts = [found.patient || 'no name stated', found.number || 'no number', found.born && `born ${found.born}`].filter(Boolean)
  place.hidden = false
  fill(place, h('strong', {}, parts[0]), `, ${parts.slice(1).join(', ')} `, h('span', { class: 'quiet' }, `case ${found.folder}`),
    found.read_only ? h('strong', { class: 'overruled' }, ' its folder cannot be changed: everything can be looked at, nothing is kept') : null,
    found.name_of_images ? h('strong', { class: 'overruled' }, ` the images say ${found.name_of_images}`) : null)
  document.title = `${title} · ${[found.patient, found.number].filter(Boolean).join(', ') || found.folder} · hepatica`
}

async function show() {
  const { key, view } = place()
  shown.leave?.()
  if (shown.key !== null && shown.key !== key) api.farewell(`/api/cases/${shown.key}/close`)
  shown = { key, leave: null }
  bar(key, view)
  // Each view has a place of its own: one that was left too early writes where nobody sees it
  const main = h('div', { class: 'view' }, h('p', { class: 'quiet' }, 'One moment …'))
  document.documentElement.dataset.state = 'loading'
  fill(document.getElementById('main'), main)
  try {
    const module = key === null ? await import('./views/cases.js') : await VIEWS[view].load()
    // How the case stands before the view reads it: what changes from here on is noticed
    if (key !== null) shown.mark = JSON.stringify(await api.ask(`/api/cases/${key}/here`))
    await identify(key, key === null ? '' : VIEWS[view].title)
    const leave = await module.show(main, key)
    if (!main.isConnected) return leave?.()
    shown.leave = leave ?? null
    document.documentElement.dataset.state = 'ready'
  } catch (error) {
    fill(main, h('h1', {}, 'That did not work'), problem(error))
    if (!main.isConnected) return
    document.documentElement.dataset.state = 'error'
    if (!(error instanceof api.Refused) && !(error instanceof api.Lost)) throw error
  }
}

function theme() {
  const button = document.getElementById('theme')
  const preferred = matchMedia('(prefers-color-scheme: dark)')
  const set = (dark) => {
    document.documentElement.dataset.theme = dark ? 'dark' : 'light'
    button.textContent = dark ? 'Light' : 'Dark'
    button.setAttribute('aria-label', dark ? 'Use light colours' : 'Use dark colours')
    window.dispatchEvent(new Event('themechange'))
  }
  button.addEventListener('click', () => set(document.documentElement.dataset.theme !== 'dark'))
  preferred.addEventListener('change', () => set(preferred.matches))
  set(preferred.matches)
}

// Every key that does something, listed by "?" or the button
const KEYS = {
  'Everywhere': [['Tab, Shift+Tab', 'next and previous control'], ['?', 'this list'], ['Escape', 'leave a dialog']],
  'In a plane that has the focus': [['arrows', 'move the cursor by 1 mm, with Shift by 10 mm'], ['Page Up, Page Down', 'go through the slices, with Shift ten at once'], ['+, −, 0', 'nearer, farther, all of it'], ['[, ]', 'opacity of what lies over it'], ['Enter', 'this plane alone, or all three'], ['m', 'the cursor is the next point of what is measured'], ['Delete', 'take the last measurement away']],
  'Structures': [['c, b, e, o', 'cursor, brush, erase, contour'], ['Ctrl+Z, Ctrl+Y', 'take back, do again']],
  'With the mouse in a plane': [['wheel', 'slices; with Ctrl nearer and farther'], ['right button', 'window'], ['Shift and drag', 'move the picture'], ['double click', 'this plane alone']],
}

function keys() {
  const open = () => {
    if (document.querySelector('dialog[open]')) return
    const dialog = h('dialog', { 'aria-labelledby': 'keys-title' }, h('h2', { id: 'keys-title' }, 'Keys'),
      Object.entries(KEYS).map(([place, rows]) => [h('h3', {}, place), h('ul', { class: 'plain' }, rows.map(([key, what]) => h('li', {}, key.split(', ').map((one, n) => [n ? ' ' : null, h('kbd', {}, one)]), ` ${what}`)))]),
      h('div', { class: 'row end' }, h('button', { class: 'main', onclick: () => dialog.close() }, 'Close')))
    dialog.addEventListener('close', () => dialog.remove())
    document.body.append(dialog)
    dialog.showModal()
  }
  document.getElementById('keys').addEventListener('click', open)
  document.addEventListener('keydown', (event) => {
    if (event.key === '?' && !event.target.closest('input, textarea, select')) open()
  })
}

setInterval(async () => {
  const { key } = shown
  if (key === null || document.hidden) return
  const answer = await api.ask(`/api/cases/${key}/here`).catch(() => null)
  if (answer === null || shown.key !== key) return
  const now = JSON.stringify(answer)
  if (shown.mark !== undefined && shown.mark !== now) {
    identify(key, VIEWS[place().view].title).catch(() => {})
    window.dispatchEvent(new Event('casechanged'))
  }
  shown.mark = now
}, HERE_MS)
addEventListener('connectionback', () => window.dispatchEvent(new Event('casechanged'))) // whatever happened meanwhile
addEventListener('hashchange', show)
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload()
})
addEventListener('pagehide', () => {
  shown.leave?.()
  if (shown.key !== null) api.farewell(`/api/cases/${shown.key}/close`)
})
addEventListener('beforeunload', (event) => {
  if (api.unsent() > 0) event.preventDefault()
})
theme()
keys()
show()
