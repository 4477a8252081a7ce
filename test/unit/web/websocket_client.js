// A conversation with test_websocket.c's handler by node-ws, through the interface that browsers have.
// usage: websocket_client.js URL
const WebSocket = require('ws')
const assert = require('assert')
const ws = new WebSocket(process.argv[2], ['v9.ingot', 'v1.ingot'])
const messages = ['hello', '', '\u00e4'.repeat(30000), new Uint8Array(60000).fill(7)]
let at = 0

function next() {
	ws.send(at < messages.length ? messages[at] : 'go away')
}

ws.binaryType = 'arraybuffer'
ws.addEventListener('error', e => { console.error(e.error || e); process.exit(1) })
ws.addEventListener('open', () => {
	assert.strictEqual(ws.protocol, 'v1.ingot')
	assert.strictEqual(ws.extensions, '')
	next()
})
ws.addEventListener('message', e => {
	if (typeof messages[at] === 'string')
		assert.strictEqual(e.data, messages[at])
	else
		assert.deepStrictEqual(new Uint8Array(e.data), messages[at])
	at++
	next()
})
ws.addEventListener('close', e => {
	assert.strictEqual(e.code, 1001)
	assert.strictEqual(at, messages.length)
	process.exit(0)
})
