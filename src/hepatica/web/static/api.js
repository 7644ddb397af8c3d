// Questions to the server. What changes the case waits where the connection is lost, and is sent again in its order.

import { announce, connection } from './dom.js'

const RETRY_MS = 2000
const waiting = [] // changes that could not be sent: {address, body, number, resolve, reject}
let retrying = false
let lastNeededLogin = false
let sending = 0 // changes on their way
let held = 0 // changes of a row that waited and were refused

// This tab, so that two tabs of one browser do not undo each other's work
const tab = (() => {
  const known = performance.getEntriesByType('navigation')[0]?.type !== 'navigate' && sessionStorage.getItem('hepatica-tab')
  const found = known || crypto.getRandomValues(new Uint32Array(2)).join('-')
  sessionStorage.setItem('hepatica-tab', found)
  return found
})()
const TAB = { 'x-hepatica-tab': tab }

// The server was started anew, or another browser's cookie is sent: nothing that was edited is given up
const needsLogin = (error) => error instanceof Refused && error.status === 401

// Edits that wait: one request may hold several values of a form
const edits = () => waiting.reduce((sum, { body }) => sum + Math.max(1, Object.keys(body?.values ?? body?.edits ?? {}).length), 0)

export class Refused extends Error {
  constructor(answer, status) {
    super(answer.error || `the server refused (${status})`)
    this.remedy = answer.remedy || ''
    this.status = status
  }
}

export class Lost extends Error {
  isLost = true
  constructor() {
    super('the connection to hepatica is lost')
    this.remedy = 'it is tried again by itself; see whether the workbench still runs'
  }
}

async function fetched(address, options) {
  let response
  try {
    response = await fetch(address, { credentials: 'same-origin', ...options, headers: { ...TAB, ...options?.headers } })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    connection(false, edits())
    throw new Lost()
  }
  if (response.status === 401) connection(false, edits(), true)
  else if (waiting.length === 0) connection(true, 0)
  if (response.ok) return response
  let answer = {}
  try {
    answer = await response.json()
  } catch {
    answer = { error: `the server answered ${response.status}` }
  }
  throw new Refused(answer, response.status)
}

// An answer that breaks off on its way is none
async function content(response) {
  try {
    return await response.json()
  } catch (error) {
    if (error.name === 'AbortError') throw error
    connection(false, edits())
    throw new Lost()
  }
}

export const raw = (address, signal) => fetched(address, { signal })
export const get = async (address, signal) => content(await fetched(address, { signal }))
export const bytes = async (address) => (await fetched(address)).arrayBuffer()

async function posted(address, body, { signal, number } = {}) {
  const headers = { 'content-type': 'application/json', ...(number ? { 'x-hepatica-request': number } : {}) }
  return content(await fetched(address, { method: 'POST', headers, body: JSON.stringify(body ?? {}), signal }))
}

// Ask something that needs a body and changes nothing: fails at once where the connection is lost
export const ask = (address, body, signal) => posted(address, body, { signal })

// Change something: kept and sent again where the connection is lost, or a new login is needed. Each change has a number:
// the server does it once, and answers it again where its answer was lost.
export async function change(address, body) {
  const number = crypto.getRandomValues(new Uint32Array(4)).join('-')
  if (waiting.length === 0) {
    sending++
    try {
      return await posted(address, body, { number })
    } catch (error) {
      if (!(error instanceof Lost) && !needsLogin(error)) throw error
      lastNeededLogin = needsLogin(error)
    } finally {
      sending--
    }
  }
  return new Promise((resolve, reject) => {
    waiting.push({ address, body, number, resolve, reject })
    connection(false, edits(), lastNeededLogin)
    if (!retrying) setTimeout(sendAgain, RETRY_MS)
    retrying = true
  })
}

async function sendAgain() {
  while (waiting.length > 0) {
    const { address, body, number, resolve, reject } = waiting[0]
    try {
      const answer = await posted(address, body, { number })
      waiting.shift()
      resolve(answer)
    } catch (error) {
      lastNeededLogin = needsLogin(error)
      if (error instanceof Lost || lastNeededLogin) {
        connection(false, edits(), lastNeededLogin)
        setTimeout(sendAgain, RETRY_MS)
        return
      }
      waiting.shift()
      held++
      reject(error)
    }
  }
  retrying = false
  lastNeededLogin = false
  connection(true, 0)
  announce(held ? `The connection is back; ${held} of the edits that waited ${held === 1 ? 'was' : 'were'} refused, see what is said on the page.` : 'The connection is back; all edits were sent.')
  held = 0
}

export const unsent = () => waiting.length + sending

// A last word when the page goes: needs no answer
export const farewell = (address) =>
  fetch(address, { method: 'POST', keepalive: true, headers: { 'content-type': 'application/json', ...TAB }, body: '{}' }).catch(() => {})
