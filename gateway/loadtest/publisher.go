package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// publisher sends the messages of a run.
type publisher struct {
	options Options
	url     string
	client  *http.Client
}

func newPublisher(o *Options) *publisher {
	return &publisher{
		options: *o,
		url:     "http://" + o.Address.String() + o.Dialect.PublishPath(o.Channel),
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Publishers}},
	}
}

func (p *publisher) close() { p.client.CloseIdleConnections() }

// prime publishes a message that is none of the run's, so that each poller's
// first poll is answered at once and tells it where to go on.
func (p *publisher) prime(ctx context.Context) error { return p.publish(ctx, []byte("prime")) }

// run returns when the last message is answered.
func (p *publisher) run(ctx context.Context, c clock) error {
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for first := range p.options.Publishers {
		group.Go(func() error { return p.runOne(ctx, c, began, first) })
	}
	return group.Wait()
}

// runOne publishes every message whose turn it is, at its time if there is a
// rate: a server that answers late does not slow the offer down until all
// publishers wait for it.
func (p *publisher) runOne(ctx context.Context, c clock, began time.Time, first int) error {
	var body []byte
	for i := first; i < p.options.Messages; i += p.options.Publishers {
		if p.options.Rate > 0 {
			due := time.Duration(float64(i) / p.options.Rate * float64(time.Second))
			if err := pause(ctx, time.Until(began.Add(due))); err != nil {
				return err
			}
		}
		body = stamp{index: i, sent: c.now()}.append(body[:0], p.options.Size)
		if err := p.publish(ctx, body); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) publish(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/plain")
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("publish: %s: %.200s", response.Status, text)
	}
	return nil
}
