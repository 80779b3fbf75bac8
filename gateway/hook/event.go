package hook

import "time"

// Kind is a kind of event.
type Kind string

// Every kind of event.
const (
	FirstSubscriber    Kind = "first-subscriber"     // of Channel, on Node
	LastSubscriberLeft Kind = "last-subscriber-left" // of Channel, on Node
	Connected          Kind = "connected"            // User, by Transport
	Disconnected       Kind = "disconnected"         // User, by Transport, for Reason
	Dropped            Kind = "dropped"              // Count events, older than the rest of the batch, were lost
)

// Event is one element of the JSON array that is posted.
type Event struct {
	ID        string    `json:"id"` // unique; the same in every retry
	Time      time.Time `json:"time"`
	Node      string    `json:"node"`
	Kind      Kind      `json:"event"`
	Channel   string    `json:"channel,omitempty"`
	User      string    `json:"user,omitempty"` // absent: anonymous
	Transport string    `json:"transport,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Count     int64     `json:"count,omitempty"`
}
