package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"comet/internal/chanpattern"
)

func duration(low, high time.Duration) kind[time.Duration] {
	return kind[time.Duration]{
		name:    "duration",
		allowed: formatDuration(low) + " to " + formatDuration(high),
		parse: func(text string) (time.Duration, error) {
			d, err := time.ParseDuration(text)
			if _, isNumber := strconv.ParseFloat(text, 64); err != nil && isNumber == nil {
				return 0, errors.New("needs a unit (ms, s, m or h), as in 25s")
			}
			if err != nil {
				return 0, errors.New("is not a duration: write a number and a unit (ms, s, m or h), as in 90s or 1h30m")
			}
			return d, inRange(d, low, high, formatDuration)
		},
		format: formatDuration,
	}
}

// formatDuration returns 24h where time.Duration.String returns 24h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func number(low, high int) kind[int] {
	return kind[int]{
		name:    "number",
		allowed: strconv.Itoa(low) + " to " + strconv.Itoa(high),
		parse: func(text string) (int, error) {
			n, err := strconv.Atoi(text)
			if errors.Is(err, strconv.ErrRange) {
				return 0, outOfRange(strconv.Itoa(low), strconv.Itoa(high))
			}
			if err != nil {
				return 0, errors.New("is not a whole number: write digits only, as in 1000")
			}
			return n, inRange(n, low, high, strconv.Itoa)
		},
		format: strconv.Itoa,
	}
}

// historySize is the kind of History.Size, in messages.
func historySize() kind[int] {
	k := number(1, 1_000_000)
	parse := k.parse
	k.parse = func(text string) (int, error) {
		n, err := parse(text)
		if err != nil && text == "0" {
			return 0, fmt.Errorf("%w (to keep no messages, publish them as ephemeral)", err)
		}
		return n, err
	}
	return k
}

// historyTTL is the kind of History.TTL.
func historyTTL() kind[time.Duration] { return duration(time.Second, 8760*time.Hour) }

// ratio is a share, from 0 to 1.
func ratio() kind[float64] {
	return kind[float64]{
		name:    "ratio",
		allowed: "0 to 1",
		parse: func(text string) (float64, error) {
			f, err := strconv.ParseFloat(text, 64)
			if err != nil || !(f >= 0 && f <= 1) { // NaN is neither
				return 0, errors.New("is not a share: write a number from 0 to 1, as in 0.01")
			}
			return f, nil
		},
		format: func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) },
	}
}

func size(low, high ByteSize) kind[ByteSize] {
	return kind[ByteSize]{
		name:    "size",
		allowed: low.String() + " to " + high.String(),
		parse: func(text string) (ByteSize, error) {
			n, err := ParseByteSize(text)
			if err != nil {
				return 0, err
			}
			return n, inRange(n, low, high, ByteSize.String)
		},
		format: ByteSize.String,
	}
}

func inRange[T int | time.Duration | ByteSize](value, low, high T, format func(T) string) error {
	if value < low || value > high {
		return outOfRange(format(low), format(high))
	}
	return nil
}

func outOfRange(low, high string) error {
	return fmt.Errorf("is out of range: write %s to %s", low, high)
}

func boolean() kind[bool] {
	return kind[bool]{
		name:    "bool",
		allowed: "true, false",
		parse: func(text string) (bool, error) {
			b, err := strconv.ParseBool(text)
			if err != nil {
				return false, errors.New("must be true or false")
			}
			return b, nil
		},
		format: strconv.FormatBool,
	}
}

// stringKind is a string for which check returns nil.
func stringKind(allowed string, check func(string) error) kind[string] {
	return kind[string]{
		name:    "string",
		allowed: allowed,
		parse:   func(text string) (string, error) { return text, check(text) },
		format:  func(text string) string { return text },
	}
}

func oneOf(words ...string) kind[string] {
	allowed := strings.Join(words, ", ")
	return stringKind(allowed, func(text string) error {
		if !slices.Contains(words, text) {
			return errors.New("must be one of " + allowed)
		}
		return nil
	})
}

func freeText() kind[string] {
	return stringKind("", func(text string) error {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return errors.New("must be UTF-8 without control characters")
		}
		return nil
	})
}

func prefix() kind[string] {
	const allowed = "1 to 32 of A-Z a-z 0-9 . _ -"
	foreign := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}
	return stringKind(allowed, func(text string) error {
		if text == "" || len(text) > 32 || strings.ContainsFunc(text, foreign) {
			return errors.New("must be " + allowed)
		}
		return nil
	})
}

// nodeName allows only ASCII, as the name is sent in HTTP headers. Empty stands for
// the host name.
// urlPath is the path of an endpoint that is not one of Comet's own.
func urlPath() kind[string] {
	return stringKind("a path such as /bayeux, not below /v1/", func(text string) error {
		for segment := range strings.SplitSeq(strings.TrimPrefix(text, "/"), "/") {
			if segment == "" || segment == "." || segment == ".." || strings.Trim(strings.ToLower(segment), "abcdefghijklmnopqrstuvwxyz0123456789.-_~") != "" {
				return errors.New("must be a path of letters, digits and . - _ ~, as in /bayeux")
			}
		}
		if !strings.HasPrefix(text, "/") || text == "/v1" || strings.HasPrefix(text, "/v1/") {
			return errors.New("must begin with / and be none of Comet's own paths, as in /bayeux")
		}
		return nil
	})
}

// channelPrefix is what channels may begin with.
func channelPrefix() kind[string] {
	return stringKind("the beginning of a channel name", func(text string) error {
		switch {
		case len(text) > 128 || strings.ContainsAny(text, "{}*") || strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text):
			return errors.New("must be at most 128 bytes without { } * and control characters, as in app/")
		case strings.HasPrefix(text, "comet."):
			return errors.New("must not begin with comet., which is kept for the nodes")
		}
		return nil
	})
}

func nodeName() kind[string] {
	const allowed = "1 to 64 printable ASCII characters without spaces"
	return stringKind(allowed, func(text string) error {
		if len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("must be " + allowed)
		}
		return nil
	})
}

func pattern() kind[string] {
	return stringKind("channel patterns: `*` within one segment, `**` any segments", checkPattern)
}

func checkPattern(text string) error {
	_, err := chanpattern.Segments(text)
	return err
}

// keyRule is name:verb:pattern.
func keyRule() kind[string] {
	const allowed = "name:verb:pattern, with the verb subscribe, publish, presence or history"
	return stringKind(allowed, func(text string) error {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) < 3 || parts[0] == "" || !slices.Contains([]string{"subscribe", "publish", "presence", "history"}, parts[1]) {
			return errors.New("must be " + allowed)
		}
		return checkPattern(parts[2])
	})
}

// headerName is the name of a header field (RFC 9110 section 5.1). Host is none of
// those that Go keeps among them.
func headerName() kind[string] {
	const allowed = "names of header fields, except Host"
	foreign := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	}
	return stringKind(allowed, func(text string) error {
		if text == "" || strings.ContainsFunc(text, foreign) || strings.EqualFold(text, "Host") {
			return errors.New("must be " + allowed)
		}
		return nil
	})
}

// keysURL is a URL without a password, as `config print` shows it.
func keysURL() kind[string] {
	return stringKind("", func(text string) error {
		u, err := url.Parse(text)
		if err != nil || text != "" && u.Host == "" {
			return errors.New("is not a URL: write one as https://login.example/keys.json")
		}
		if u.User != nil {
			return errors.New("must have no user or password: public keys need neither")
		}
		return nil
	})
}

// tracingURL is a URL without a password, as `config print` shows it. Collectors
// expect credentials in a header.
func tracingURL() kind[string] {
	return stringKind("", func(text string) error {
		u, err := url.Parse(text)
		if err != nil || text != "" && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return errors.New("is not a URL: write one as http://127.0.0.1:4318, or with the path for traces of the collector")
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("must have no user, password or query: set a header in the variable OTEL_EXPORTER_OTLP_HEADERS")
		}
		return nil
	})
}

func secret() kind[Secret] {
	return kind[Secret]{
		name:   "string",
		parse:  func(text string) (Secret, error) { return NewSecret(text), nil },
		format: Secret.String,
	}
}

func logLevel() kind[slog.Level] {
	names := oneOf("debug", "info", "warn", "error")
	return kind[slog.Level]{
		name:    names.name,
		allowed: names.allowed,
		parse: func(text string) (level slog.Level, err error) {
			if _, err := names.parse(text); err != nil {
				return 0, err
			}
			return level, level.UnmarshalText([]byte(text))
		},
		format: func(level slog.Level) string { return strings.ToLower(level.String()) },
	}
}
