package main

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"comet/bench"
	"comet/config"
)

// share is a flag for a part of the whole: 1% or 0.01.
type share float64

func (s *share) String() string { return strconv.FormatFloat(float64(*s)*100, 'g', 6, 64) + "%" }
func (s *share) Type() string   { return "share" }

func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if err != nil || math.IsNaN(x) || x < 0 || x > 1 {
		return errors.New("is not a share: write it like 1% or 0.01, from 0 to 100%")
	}
	*s = share(x)
	return nil
}

// size is a flag for bytes: 100 or 1KiB.
type size int

func (s *size) String() string { return config.ByteSize(*s).String() }
func (s *size) Type() string   { return "size" }

func (s *size) Set(text string) error {
	n, err := config.ParseByteSize(text)
	if err != nil {
		return err
	}
	if n > math.MaxInt32 {
		return errors.New("is larger than 2 GiB")
	}
	*s = size(n)
	return nil
}

// transport is a flag for the transport of the subscribers.
type transport bench.Transport

func (t *transport) String() string { return string(*t) }
func (t *transport) Type() string   { return "transport" }

func (t *transport) Set(text string) error {
	switch bench.Transport(text) {
	case bench.SSE, bench.LongPoll, bench.ShortPoll, bench.Bayeux, bench.Mixed:
		*t = transport(text)
		return nil
	}
	return errors.New("is none of sse, poll, short-poll, bayeux and mixed")
}
