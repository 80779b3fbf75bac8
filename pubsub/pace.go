package pubsub

// pace is how much a reader of logs asks for at a time: of how many channels,
// and how many messages of each. Redis answers the queries of one Broker.Read
// without doing anything else between them, so what comes decides how many the
// next one has. A read that failed is not repeated with the same size.
type pace struct {
	channels, mostChannels int
	messages, mostMessages int
}

// firstChannels is how many channels are asked for before anything is known of
// what they have.
const firstChannels = 8

func newPace(mostChannels, mostMessages int) pace {
	return pace{min(firstChannels, mostChannels), mostChannels, mostMessages, mostMessages}
}

// A message costs Redis about as much as a KiB of its data: 4.5 µs (measured with
// read.lua). 1 MiB is some 5 ms.
const (
	messageWeight = 1 << 10
	lightRead     = 256 << 10
	heavyRead     = 1 << 20
)

// succeeded adapts to what pages brought.
func (p *pace) succeeded(pages []Page) {
	weight := 0
	for i := range pages {
		weight += pages[i].Size() + messageWeight*len(pages[i].Messages)
	}
	p.messages = min(2*p.messages, p.mostMessages)
	switch {
	case weight < lightRead:
		p.channels = min(2*p.channels, p.mostChannels)
	case weight > heavyRead:
		p.channels = max(1, p.channels/2)
	}
}

// failed makes the next read smaller.
func (p *pace) failed() {
	p.channels = max(1, p.channels/2)
	p.messages = max(1, p.messages/2)
}
