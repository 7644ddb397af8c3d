// The page: which view is shown, the bar above it, and that somebody is there.

import * as api from './api.js'
import { fill, h, problem } from './dom.js'

const HERE_MS = 20000

const VIEWS = {
  case: { title: 'Course', load: () => import('./views/case.js') },
  viewer: { title: 'Viewer', load: () => import('./views/viewer.js') },
  histograms: { title: 'Histograms', load: () => import('./views/histograms.js') },
  plan: { title: 'Plan', load: () => import('./views/plan.js') },
  structures: { title: 'Structures', load: () => import('./views/structures.js') },
  registration: { title: 'Registration', load: () => import('./views/registration.js') },
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
    document.title = key === null ? 'hepatica workbench' : `${VIEWS[view].title} · hepatica workbench`
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

setInterval(() => {
  if (shown.key !== null && !document.hidden) api.ask(`/api/cases/${shown.key}/here`).catch(() => {})
}, HERE_MS)
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
show()
