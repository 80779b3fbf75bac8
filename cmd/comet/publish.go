package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"comet/client"
	"comet/pubsub"
)

// maxLine bounds a line of standard input, in bytes; the server's own limit
// (limits.message) is usually lower.
const maxLine = 2 << 20

// maxPublishTime is how long the client tries to publish a message.
const maxPublishTime = 2 * time.Minute

type publishOptions struct {
	access
	timeout   time.Duration
	kind      string
	key       string
	tags      []string
	json      bool
	ephemeral bool
}

func newPublish() *cobra.Command {
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "publish CHANNEL [TEXT]",
		Short: "Publish a message, or each line of standard input",
		Long: `Publish TEXT to CHANNEL or, without TEXT, each line of standard input. Prints the
ID of each message once it is accepted. Failures are retried with an idempotency
key, so that a message is published once. If nodes want a token or an API key, give it
in a file with --token-file or in ` + tokenVariable + `.`,
		Example: `  comet publish chat/lobby 'Hello!'
  comet publish prices '{"eur": 1.09}' --json --type price
  comet publish chat/lobby 'Hello!' --token-file backend.key
  comet publish orders/17 'Packed' --tag warehouse:3 --tag step:2
  tail -f app.log | comet publish logs/app`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return &usageError{errors.New("CHANNEL is missing: name the channel to publish to")}
			case len(args) > 2:
				return &usageError{fmt.Errorf("want CHANNEL and TEXT, got %d arguments: put the text in quotes", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.key != "" && len(args) < 2 {
				return &usageError{errors.New("--key is for one message: give TEXT")}
			}
			if _, err := o.parseTags(); err != nil {
				return &usageError{fmt.Errorf("--tag %w", err)}
			}
			if o.timeout <= 0 {
				return &usageError{errors.New("--timeout must be more than 0s")}
			}
			return publish(cmd, args, &o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.addTo(cmd)
	cmd.Flags().DurationVar(&o.timeout, "timeout", maxPublishTime, "how long to try to publish a message, at most "+maxPublishTime.String())
	cmd.Flags().StringVar(&o.kind, "type", "", "type of the message, the event name in a browser (default message)")
	cmd.Flags().StringVar(&o.key, "key", "", "idempotency key: the same key again publishes nothing (default: a random one)")
	cmd.Flags().StringArrayVar(&o.tags, "tag", nil, "a tag of the message, name:value; may be given several times")
	cmd.Flags().BoolVar(&o.json, "json", false, "the text is JSON, not a string")
	cmd.Flags().BoolVar(&o.ephemeral, "ephemeral", false, "send only to current subscribers and keep nothing")
	return cmd
}

// parseTags returns the tags of the flags --tag. Its error follows the flag's name.
func (o *publishOptions) parseTags() (pubsub.Tags, error) {
	pairs := make(map[string]string)
	for _, text := range o.tags {
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return pubsub.Tags{}, fmt.Errorf("must be name:value, as in room:42: %q has no colon", text)
		}
		if _, twice := pairs[name]; twice {
			return pubsub.Tags{}, fmt.Errorf("has the name %q twice", name)
		}
		pairs[name] = value
	}
	tags, err := pubsub.NewTags(pairs)
	if invalid, ok := errors.AsType[*pubsub.InvalidError](err); ok {
		return tags, errors.New(invalid.Message)
	}
	return tags, err
}

func publish(cmd *cobra.Command, args []string, o *publishOptions) error {
	c, notice, err := o.connect(cmd, "for up to "+min(o.timeout, maxPublishTime).String())
	if err != nil {
		return err
	}
	publishText := func(text string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
		defer cancel()
		err := publishOne(ctx, cmd, c, args[0], text, o)
		notice.recovered()
		return o.explain(err)
	}
	if len(args) == 2 {
		return publishText(args[1])
	}
	if isTerminal(cmd.InOrStdin()) {
		fmt.Fprintln(cmd.ErrOrStderr(), "comet: each line that you type is published; Ctrl-D ends it")
	}
	return eachLine(cmd.Context(), cmd.InOrStdin(), publishText)
}

// eachLine calls do with the lines of in that are not empty, one by one, until
// one fails or ctx ends.
func eachLine(ctx context.Context, in io.Reader, do func(string) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for n := 1; ; n++ {
		more, err := scan(ctx, lines)
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			return fmt.Errorf("line %d is longer than %d bytes", n, maxLine)
		case err != nil || !more:
			return err
		case strings.TrimSpace(lines.Text()) == "":
			continue
		}
		if err := do(lines.Text()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

// scan is lines.Scan, but ends with ctx. Nothing can interrupt the read of a
// terminal: its goroutine stays behind then, until the process ends, and lines
// must not be used any more.
func scan(ctx context.Context, lines *bufio.Scanner) (more bool, err error) {
	scanned := make(chan bool, 1)
	go func() { scanned <- lines.Scan() }()
	select {
	case more := <-scanned:
		return more, lines.Err()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

func publishOne(ctx context.Context, cmd *cobra.Command, c *client.Client, channel, text string, o *publishOptions) error {
	data, err := pubsub.TextData(text)
	if o.json {
		data, err = pubsub.CompactJSON([]byte(text))
	}
	if err != nil {
		return err
	}
	tags, err := o.parseTags()
	if err != nil {
		return err
	}
	receipt, err := c.Publish(ctx, pubsub.Draft{
		Channel: channel, Type: o.kind, Data: data, Key: o.key, Ephemeral: o.ephemeral, Tags: tags,
	})
	if err != nil {
		return err
	}
	if o.ephemeral {
		return nil // no ID
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), receipt.ID)
	return err
}

// plainText is data for people: the text of a string, any other value as JSON.
func plainText(data []byte) string {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return text
	}
	return string(data)
}
