package server

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"comet/config"
	"comet/gateway/trace"
)

// logSetting is what GET /v1/log answers and PUT takes.
type logSetting struct {
	Level string `json:"level"` // debug, info, warn or error
}

// logLevelBody bounds the body of a PUT.
const logLevelBody = 1 << 10

// showLevel answers what is logged: this level and above.
func showLevel(level *slog.LevelVar) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answerLevel(w, level) }
}

// setLevel changes what is logged, until it is set again here, in the settings,
// or by a restart.
func setLevel(level *slog.LevelVar, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		to, err := readLevel(http.MaxBytesReader(w, r.Body, logLevelBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if from := level.Level(); from != to {
			level.Set(min(from, to)) // so that the line about it is seen
			logger.InfoContext(r.Context(), "log level changed", "from", levelName(from), "to", levelName(to))
			level.Set(to)
		}
		answerLevel(w, level)
	}
}

var errLevel = errors.New(`write {"level": "debug"}, or info, warn or error`)

func readLevel(body io.Reader) (slog.Level, error) {
	var want logSetting
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&want); err != nil {
		return 0, errLevel
	}
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if levelName(l) == want.Level {
			return l, nil
		}
	}
	return 0, errLevel
}

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

func answerLevel(w http.ResponseWriter, level *slog.LevelVar) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(logSetting{levelName(level.Level())})
}

// NewLogger returns a logger that writes to w in the format of s. The level begins
// as in s; set it to change what is logged.
func NewLogger(w io.Writer, s *config.Log) (logger *slog.Logger, level *slog.LevelVar) {
	level = new(slog.LevelVar)
	level.Set(s.Level)
	o := &slog.HandlerOptions{Level: level}
	if s.Format == "json" {
		o.ReplaceAttr = readableDuration
		return slog.New(trace.Handler(slog.NewJSONHandler(w, o))), level
	}
	return slog.New(trace.Handler(slog.NewTextHandler(w, o))), level
}

// readableDuration writes durations in JSON as in text, "10s": slog writes nanoseconds.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
