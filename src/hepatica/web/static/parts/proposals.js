// What a step proposes waits until a person has looked at it: accepted or refused, with who and why.

import * as api from '../api.js'
import { askFor, h } from '../dom.js'

const WHO = { name: 'by', label: 'Who looked at it', needed: true }
const WHY = { name: 'reason', label: 'Why', needed: true, long: true }

// Buttons for a proposal; `act` is given what changes the case, and the words for after it
export function judgement(key, step, what, act, isAccepted = false) {
  const judged = async (title, field, action, how, words) => {
    const given = await askFor(`${title} the proposed ${what}`, [field], action)
    if (given) await act(() => api.change(`/api/cases/${key}/steps/${step}/${how}`, given), words)
  }
  return h('div', { class: 'row' },
    isAccepted ? null : h('button', { class: 'main', onclick: () => judged('Accept', WHO, 'I accept it', 'check', 'It is accepted.') }, 'Accept'),
    h('button', { onclick: () => judged('Refuse', WHY, 'Refuse it', 'skip', 'It is refused.') }, 'Refuse'))
}
