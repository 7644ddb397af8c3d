// Elements of the page, and what is said to the reader.

// h('button', {class: 'main', onclick: f, 'aria-label': 'x'}, 'text', child, ...)
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (key === 'class') element.className = value
    else if (key === 'style') Object.assign(element.style, value)
    else if (key === 'value' || key === 'checked' || key === 'disabled' || key === 'selected') element[key] = value
    else element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

let numbered = 0
export const freshId = (word) => `${word}-${++numbered}`

// A control with its label
export function labelled(text, control, hint = '') {
  const id = control.id || freshId('field')
  control.id = id
  return h('div', { class: 'field' }, h('label', { for: id }, text), control, hint ? h('small', {}, hint) : null)
}

export function choice(options, value, onchange, properties = {}) {
  const rows = options.map((option) => (Array.isArray(option) ? option : [option, option]))
  const select = h('select', { ...properties, onchange: (event) => onchange(event.target.value) },
    rows.map(([key, text]) => h('option', { value: key }, text)))
  select.value = value
  return select
}

export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace('e+', '·10^').replace('e', '·10^')
  return String(Number(value.toPrecision(digits)))
}

// Said to a screen reader, and shown for a moment
export function announce(text) {
  const place = document.getElementById('said')
  place.textContent = ''
  setTimeout(() => (place.textContent = text), 30)
}

let wasThere = true

// Views are told when the connection goes and when it is back: what they could not ask is blank until they ask again
export function connection(isThere, count, needsLogin = false) {
  if (isThere !== wasThere) window.dispatchEvent(new Event(isThere ? 'connectionback' : 'connectionlost'))
  wasThere = isThere
  const place = document.getElementById('connection')
  place.hidden = isThere
  const edits = count === 1 ? '1 edit is kept and will be sent' : `${count} edits are kept and will be sent`
  const lost = needsLogin
    ? `hepatica was started anew or asks for its address: open the address that it printed in another tab of this browser${count ? `; ${edits} after that` : ''}. It is tried again by itself.`
    : `The connection to hepatica is lost${count ? `; ${edits}` : ''}. It is tried again by itself.`
  if (place.textContent !== (isThere ? '' : lost)) place.textContent = isThere ? '' : lost
}

// What was said of a lost connection, taken back once it is there again
export function takeBackLost(place) {
  for (const one of place.querySelectorAll('[data-lost]')) one.remove()
}

// What went wrong, with what to do about it
export function problem(error) {
  if (error.name === 'AbortError') return null
  return h('div', { class: 'notice critical', role: 'alert', 'data-lost': error.isLost },
    h('strong', {}, error.message), error.remedy ? h('p', {}, `What to do: ${error.remedy}`) : null)
}

export function notice(severity, text, remedy = '') {
  const said = worded(text)
  const long = said.length > LONG
  return h('div', { class: `notice ${severity}` }, h('span', { class: 'mark' }, severity), ' ',
    long ? h('details', {}, h('summary', {}, `${said.slice(0, SHORT)} …`), said) : said,
    remedy ? h('p', {}, `What to do: ${worded(remedy)}`) : null)
}

const LONG = 420
const SHORT = 220
const UNITS = /_(?:gbq|mbq|bq|gy|mm|cm|m|kg|g|ml|s|h|kev|percent|mg_dl)$/

// Options that the library names in backticks, in words: `lung_mass_kg` is "lung mass"
const worded = (text) => text.replace(/`([a-z][a-z0-9_]*)`/g, (_, name) => name.replace(UNITS, '').replaceAll('_', ' '))

// A dialog that asks for one or several texts; null where it was left
export function askFor(title, fields, action) {
  return new Promise((resolve) => {
    const controls = fields.map((field) =>
      h(field.long ? 'textarea' : 'input', { name: field.name, value: field.value ?? '', required: field.needed ? true : null, rows: field.long ? 3 : null }))
    const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' },
      h('form', { method: 'dialog' },
        h('h2', { id: 'dialog-title' }, title),
        fields.map((field, n) => labelled(field.label, controls[n], field.hint)),
        h('div', { class: 'row end' },
          h('button', { type: 'button', onclick: () => dialog.close() }, 'Leave it'),
          h('button', { class: 'main', type: 'submit', value: 'done' }, action))))
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'done' ? Object.fromEntries(fields.map((field, n) => [field.name, controls[n].value.trim()])) : null)
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}

export function table(caption, heads, rows, properties = {}) {
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h('table', properties, h('caption', {}, caption),
      h('thead', {}, h('tr', {}, heads.map((head, n) => h('th', { scope: 'col', class: n > 0 && rows.some((row) => typeof row[n] === 'number') ? 'number' : null }, head)))),
      h('tbody', {}, rows.map((row) => h('tr', {}, row.map((cell, n) =>
        n === 0 ? h('th', { scope: 'row' }, cell) : h('td', { class: typeof cell === 'number' ? 'number' : null }, typeof cell === 'number' ? number(cell) : cell)))))))
}

// A line as it is drawn, with its dashes
export function swatch(colour, dashes = 'solid') {
  return h('span', { class: `swatch ${dashes}`, style: { color: colour } })
}

export const instant = (text) => (text ? text.replace('T', ' ').slice(0, 16) : '')
