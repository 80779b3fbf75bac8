// Command goclients reads a stream with a Go client that people have, and
// prints the data of each message as a JSON string on a line of its own.
//
//	goclients CLIENT URL
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	donovanhide "github.com/donovanhide/eventsource"
	launchdarkly "github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
	"gopkg.in/cenkalti/backoff.v1"
)

// clients read url until they give up.
var clients = map[string]func(url string) error{
	"r3labs":       readR3labs,
	"tmaxmax":      readTmaxmax,
	"launchdarkly": readLaunchDarkly,
	"donovanhide":  readDonovanhide,
}

// pause is between two connections.
const pause = 300 * time.Millisecond

// eventBytes is the largest event that a client with a limit takes.
const eventBytes = 8 << 20

func main() {
	if len(os.Args) != 3 || clients[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: goclients r3labs|tmaxmax|launchdarkly|donovanhide URL")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "it gave up:", clients[os.Args[1]](os.Args[2]))
	os.Exit(1)
}

// got prints data, unless it is that of an event of Comet's own.
func got(event, data string) {
	if event != "" && event != "message" {
		return
	}
	line, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", line)
}

func readR3labs(url string) error {
	c := r3labs.NewClient(url, r3labs.ClientMaxBufferSize(eventBytes))
	c.ReconnectStrategy = backoff.NewConstantBackOff(pause)
	return c.SubscribeRaw(func(e *r3labs.Event) { got(string(e.Event), string(e.Data)) })
}

func readTmaxmax(url string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	c := tmaxmax.Client{Backoff: tmaxmax.Backoff{InitialInterval: pause}}
	connection := c.NewConnection(r)
	connection.Buffer(nil, eventBytes)
	connection.SubscribeToAll(func(e tmaxmax.Event) { got(e.Type, e.Data) })
	for { // an answer that is not 200 ends Connect; the next one resumes
		fmt.Fprintln(os.Stderr, connection.Connect())
		time.Sleep(pause)
	}
}

func readLaunchDarkly(url string) error {
	retry := func(error) launchdarkly.StreamErrorHandlerResult { return launchdarkly.StreamErrorHandlerResult{} }
	s, err := launchdarkly.SubscribeWithURL(url, launchdarkly.StreamOptionInitialRetry(pause), launchdarkly.StreamOptionErrorHandler(retry))
	if err != nil {
		return err
	}
	for e := range s.Events {
		got(e.Event(), e.Data())
	}
	return nil
}

func readDonovanhide(url string) error {
	s, err := donovanhide.Subscribe(url, "")
	if err != nil {
		return err
	}
	for {
		select {
		case e, open := <-s.Events:
			if !open {
				return nil
			}
			got(e.Event(), e.Data())
		case err := <-s.Errors: // it goes on by itself
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
