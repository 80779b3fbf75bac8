package bayeux

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"comet/pubsub"
)

// notice tells the node that holds a connect that the session was changed elsewhere: by
// another connect, a subscription or a disconnect. Notices are ephemeral: one that is lost
// only delays what it is about until the connect ends.
type notice struct {
	Client string `json:"client"`
}

const noticeType = "changed"

// newNoticeChannel returns the channel of a node's notices, which no other node has.
func newNoticeChannel() string { return pubsub.ControlPrefix + "bayeux.node." + rand.Text() }

// notify wakes the connect of a session that node holds, if it does.
func (s *Server) notify(ctx context.Context, node, clientID string) {
	switch node {
	case "":
	case s.node:
		s.wake(clientID, nil)
	default:
		data, err := json.Marshal(notice{clientID})
		if err != nil {
			panic(err) // strings can be marshalled
		}
		draft := pubsub.Draft{Channel: node, Type: noticeType, Data: data, Ephemeral: true}
		if err := s.options.Hub.Publish(ctx, []pubsub.Draft{draft})[0].Err; err != nil {
			s.options.Logger.DebugContext(ctx, "bayeux notice was not sent", "error", err)
		}
	}
}

// wake wakes the connect of a session that this node holds, unless it is except.
func (s *Server) wake(clientID string, except *connect) {
	s.mu.Lock()
	c := s.waiting[clientID]
	s.mu.Unlock()
	if c != nil && c != except {
		c.wake()
	}
}

// followNotices wakes the connects that notices are about, until the server is closed.
func (s *Server) followNotices() {
	for s.ctx.Err() == nil {
		if err := s.readNotices(); err != nil && s.ctx.Err() == nil {
			s.options.Logger.Debug("bayeux notices cannot be read; retrying", "error", err)
		}
		select {
		case <-s.ctx.Done():
		case <-time.After(noticeRetry):
		}
	}
}

const (
	noticeRetry = time.Second
	noticePage  = 256
)

// readNotices reads notices until an error.
func (s *Server) readNotices() error {
	sub, err := s.options.Hub.SubscribeUncounted(s.ctx, []pubsub.Start{{Channel: s.node}})
	if err != nil {
		return err
	}
	defer sub.Close()
	s.wakeAll() // notices may have been missed
	for {
		items, err := sub.Next(s.ctx, noticePage)
		if err != nil {
			return err
		}
		for _, it := range items {
			var n notice
			if it.Message != nil && it.Message.Type == noticeType && json.Unmarshal(it.Message.Data, &n) == nil {
				s.wake(n.Client, nil)
			}
		}
	}
}

// wakeAll wakes all connects that this node holds.
func (s *Server) wakeAll() {
	s.mu.Lock()
	all := make([]*connect, 0, len(s.waiting))
	for _, c := range s.waiting {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.wake()
	}
}
