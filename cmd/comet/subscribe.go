package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"comet/client"
	"comet/gateway/wire"
	"comet/pubsub"
)

type subscribeOptions struct {
	access
	cursor string
	last   int
	count  int
	poll   bool
	json   bool
	from   bool
	tags   bool

	skipSelf bool
}

func newSubscribe() *cobra.Command {
	var o subscribeOptions
	cmd := &cobra.Command{
		Use:   "subscribe CHANNEL|PATTERN...",
		Short: "Print messages as they are published",
		Long: `Print the messages of one or more channels as they are published, one per line, with
control characters escaped (\n, \x1b); --json prints data as it is. --from prints the
verified sender first, or - where a message has none. A broken connection is opened
again and resumes where it stopped. If messages may be missing, standard error says so. A pattern stands for all channels that it matches: * is any
text between slashes, ** any number of segments. It works where a rule under channels
has patterns: true. If nodes want a token, give it in a file with --token-file or in
` + tokenVariable + `.`,
		Example: `  comet subscribe chat/lobby
  comet subscribe chat/lobby --last 10 --json
  comet subscribe chat/lobby --from --tags
  comet subscribe prices news --poll
  comet subscribe 'orders/**'
  comet subscribe chat/lobby --token-file alice.token
  comet subscribe logs/app --cursor earliest --count 100`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{errors.New("CHANNEL is missing: name at least one channel")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.last < 0 || o.count < 0 {
				return &usageError{errors.New("--last and --count must be 0 or more")}
			}
			if o.cursor != "" && o.last > 0 {
				return &usageError{errors.New("--cursor and --last exclude each other: give one")}
			}
			return subscribe(cmd, args, &o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.addTo(cmd)
	cmd.Flags().StringVar(&o.cursor, "cursor", "", "begin after this cursor; earliest is the oldest message kept")
	cmd.Flags().IntVar(&o.last, "last", 0, "begin with this number of the newest messages")
	cmd.Flags().IntVar(&o.count, "count", 0, "end after this number of messages (default: never)")
	cmd.Flags().BoolVar(&o.poll, "poll", false, "use long-polls instead of a stream")
	cmd.Flags().BoolVar(&o.json, "json", false, "print each message, and each gap, as a JSON object")
	cmd.Flags().BoolVar(&o.from, "from", false, "print the verified sender before each message")
	cmd.Flags().BoolVar(&o.tags, "tags", false, "print the tags after each message")
	cmd.Flags().BoolVar(&o.skipSelf, "skip-self", false, "leave out the messages of this token's user, or of this key")
	return cmd
}

func subscribe(cmd *cobra.Command, channels []string, o *subscribeOptions) error {
	c, notice, err := o.connect(cmd, "until it works")
	if err != nil {
		return err
	}
	seen, connected := 0, false
	for e, err := range c.Subscribe(cmd.Context(), client.SubscribeOptions{
		Channels: channels, Cursor: o.cursor, Last: o.last, Poll: o.poll, SkipSelf: o.skipSelf,
	}) {
		if err != nil {
			return o.explain(err)
		}
		if e.Kind == wire.KindReady {
			reportReady(cmd, notice.recovered(), connected, channels)
			connected = true
		}
		if err := show(cmd, &e, len(channels) > 1 || pubsub.IsPattern(channels[0]), o); err != nil {
			return err
		}
		if e.Kind == wire.KindMessage {
			seen++
		}
		if o.count > 0 && seen == o.count {
			return nil
		}
	}
	return nil
}

// reportReady says on standard error that an outage is over and, to a person, that
// the first connection is made.
func reportReady(cmd *cobra.Command, recovered, again bool, channels []string) {
	switch errOut := cmd.ErrOrStderr(); {
	case recovered:
		fmt.Fprintln(errOut, "comet: connected")
	case !again && isTerminal(errOut):
		fmt.Fprintf(errOut, "comet: connected, waiting for messages of %s; Ctrl-C ends it\n", oneLine(strings.Join(channels, ", ")))
	}
}

// show prints e. It fails if the output cannot be written: its reader is gone, or
// the disk is full.
func show(cmd *cobra.Command, e *wire.Event, several bool, o *subscribeOptions) error {
	out := cmd.OutOrStdout()
	var err error
	switch {
	case e.Kind == wire.KindMessage && o.json:
		_, err = fmt.Fprintf(out, "%s\n", safeJSON(wire.AppendMessageJSON(nil, e.Message)))
	case e.Kind == wire.KindMessage:
		_, err = fmt.Fprintln(out, messageLine(e.Message, several, o))
	case e.Kind == wire.KindGap && o.json:
		_, err = out.Write(safeJSON(wire.NDJSON.AppendGap(nil, e.Gap, []byte(e.Cursor), nil)))
	case e.Kind == wire.KindGap:
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "comet: messages of %s may be missing (%s)\n", oneLine(e.Gap.Channel), oneLine(string(e.Gap.Reason)))
	}
	return err
}

// messageLine is a message for people: the channel if there are several, the sender and the tags
// if they are wanted, and the data.
func messageLine(m *pubsub.Message, several bool, o *subscribeOptions) string {
	var b strings.Builder
	if several {
		b.WriteString(oneLine(m.Channel) + ": ")
	}
	if o.from {
		b.WriteString(oneLine(cmp.Or(m.From, "-")) + ": ")
	}
	b.WriteString(oneLine(plainText(m.Data)))
	if o.tags && !m.Tags.IsZero() {
		separator := " ["
		for name, value := range m.Tags.All() {
			b.WriteString(separator + oneLine(name+":"+value))
			separator = " "
		}
		b.WriteByte(']')
	}
	return b.String()
}
