package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"

	"comet/client"
)

// retryNotice is the slog.Handler of the client: where the client would log each
// try, it writes a sentence to out, once per outage and reason.
type retryNotice struct {
	out   io.Writer
	until string // how long the client goes on trying, as in "for up to 2m0s"

	mu    sync.Mutex
	shown map[string]bool // in this outage
}

// Enabled implements slog.Handler.
func (n *retryNotice) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

// WithAttrs implements slog.Handler.
func (n *retryNotice) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup implements slog.Handler.
func (n *retryNotice) WithGroup(string) slog.Handler { return n }

// Handle implements slog.Handler.
func (n *retryNotice) Handle(_ context.Context, r slog.Record) error {
	reason := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			reason = outageReason(err)
		}
		return true
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shown[reason] {
		return nil
	}
	if n.shown == nil {
		n.shown = make(map[string]bool)
	}
	n.shown[reason] = true
	_, err := fmt.Fprintf(n.out, "comet: %s; trying again %s, Ctrl-C ends it\n", oneLine(reason), n.until)
	return err
}

// recovered ends the outage and reports whether there was one.
func (n *retryNotice) recovered() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	outage := len(n.shown) > 0
	n.shown = nil
	return outage
}

// outageReason is err for a person.
func outageReason(err error) string {
	if _, ok := errors.AsType[*client.ProblemError](err); ok {
		return "the node answered " + err.Error()
	}
	request, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err.Error()
	}
	node := request.URL
	if u, err := url.Parse(request.URL); err == nil {
		node = u.Scheme + "://" + u.Host
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" && strings.Contains(dial.Error(), "refused") {
		return "no node listens at " + node
	}
	return fmt.Sprintf("cannot reach %s (%v)", node, request.Err)
}
