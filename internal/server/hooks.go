package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"comet/config"
	"comet/gateway/auth"
	"comet/gateway/hook"
)

// hooks are the URLs of the application that a node calls; nil: none.
type hooks struct {
	asker  *hook.Asker
	events *hook.Events
}

func newHooks(s *config.Settings, node string, logger *slog.Logger) (h hooks, err error) {
	if s.Auth.Hook.URL != "" {
		to, err := endpoint("auth.hook", s.Auth.Hook.Hook)
		if err != nil {
			return h, err
		}
		h.asker, err = hook.NewAsker(hook.AskerOptions{Endpoint: to, Node: node, Headers: s.Auth.Hook.Headers,
			Timeout: s.Auth.Hook.Timeout, Logger: logger})
		if err != nil {
			return h, err
		}
	}
	if s.Events.URL != "" {
		to, err := endpoint("events", s.Events)
		if err == nil {
			h.events, err = hook.NewEvents(hook.EventsOptions{Endpoint: to, Node: node, Logger: logger})
		}
		if err != nil {
			return h, errors.Join(err, h.close(context.Background()))
		}
	}
	return h, nil
}

func endpoint(setting string, h config.Hook) (hook.Endpoint, error) {
	secrets, err := auth.ReadSecrets(h.SecretFile)
	if err != nil {
		return hook.Endpoint{}, fmt.Errorf("%s.secret_file: %w", setting, err)
	}
	return hook.Endpoint{URL: h.URL, Secret: secrets[0]}, nil
}

// flushTimeout bounds the delivery of the last events.
const flushTimeout = 5 * time.Second

// close delivers the last events.
func (h hooks) close(ctx context.Context) (err error) {
	if h.asker != nil {
		h.asker.Close()
	}
	if h.events != nil {
		ctx, cancel := context.WithTimeout(ctx, flushTimeout)
		defer cancel()
		err = h.events.Close(ctx)
	}
	return err
}
