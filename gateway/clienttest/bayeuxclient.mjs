// A Bayeux client: node bayeuxclient.mjs <cometd|cometd-ack|faye> <url> <channel> <channel to publish on>
// It prints a JSON object for each thing that happens, one per line.
import { createRequire } from 'node:module'

const [library, url, channel, upstream] = process.argv.slice(2)
const print = what => process.stdout.write(JSON.stringify(what) + '\n')

// publishing publishes numbers, one after the other, and prints each that was taken.
function publishing(publish) {
  let n = 0
  const next = () => {
    const data = ++n
    publish(data, ok => {
      if (ok) print({ published: data })
      setTimeout(next, 100)
    })
  }
  next()
}

if (library === 'faye') {
  const faye = createRequire(import.meta.url)('faye')
  const client = new faye.Client(url, { retry: 0.3 })
  client.addExtension({
    incoming(message, callback) {
      if (message.channel === '/meta/handshake') print({ handshake: message.successful, error: message.error })
      if (message.channel === '/meta/connect' && !message.successful) print({ refused: message.error })
      callback(message)
    },
  })
  client.subscribe(channel, data => print({ got: data })).then(() => {
    print({ subscribed: true })
    publishing((data, done) => client.publish(upstream, data).then(() => done(true), () => done(false)))
  }, error => print({ error: String(error) }))
} else {
  const { adapt } = await import('cometd-nodejs-client')
  adapt()
  const { CometD } = await import('cometd/cometd.js')
  const cometd = new CometD()
  cometd.unregisterTransport('websocket')
  if (library === 'cometd-ack') {
    const { AckExtension } = await import('cometd/AckExtension.js')
    cometd.registerExtension('ack', new AckExtension())
  }
  cometd.configure({ url, logLevel: 'warn', backoffIncrement: 200, maxBackoff: 1000 })
  cometd.addListener('/meta/connect', message => {
    if (!message.successful && !message.failure) print({ refused: message.error })
  })
  let begun = false
  cometd.addListener('/meta/handshake', message => {
    print({ handshake: message.successful, error: message.error })
    if (!message.successful) return
    cometd.subscribe(channel, message => print({ got: message.data }), message => {
      if (!message.successful || begun) return
      begun = true
      print({ subscribed: true })
      publishing((data, done) => cometd.publish(upstream, data, reply => done(reply.successful)))
    })
  })
  cometd.handshake()
}
